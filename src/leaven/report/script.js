"use strict";
(() => {
  const by = (id) => document.getElementById(id);
  const root = document.documentElement;
  const fields = ["find", "label", "step", "show", "sort"];
  const state = {};
  let section = "";

  function read() {
    for (const key of Object.keys(state)) delete state[key];
    section = "";
    for (const part of location.hash.slice(1).split("&")) {
      const at = part.indexOf("=");
      try {
        if (at > 0) state[part.slice(0, at)] = decodeURIComponent(part.slice(at + 1));
        else if (part) section = part;
      } catch { /* a fragment that is no text says nothing */ }
    }
  }

  function write() {
    const said = Object.entries(state).filter(([, v]) => v).map(([k, v]) => `${k}=${encodeURIComponent(v)}`);
    history.replaceState(null, "", "#" + [section, ...said].filter(Boolean).join("&"));
  }

  function theme() {
    const name = ["light", "dark"].includes(state.theme) ? state.theme : "auto";
    root.dataset.theme = name;
    by("theme").textContent = `theme: ${name}`;
  }

  function filter() {
    const wanted = (state.find || "").toLowerCase();
    let shown = 0, all = 0;
    for (const family of document.querySelectorAll("#samples .family")) {
      let kids = 0;
      for (const kid of family.querySelectorAll("ul > li")) {
        const fits = (!state.step || kid.dataset.s.split(" ").includes(state.step))
          && (!state.show || kid.classList.contains(state.show));
        kid.hidden = !fits;
        kids += fits;
      }
      const fits = kids > 0 && (!state.label || family.dataset.l === state.label)
        && (!wanted || family.textContent.toLowerCase().includes(wanted));
      family.hidden = !fits;
      all += 1;
      shown += fits;
    }
    const asked = wanted || state.label || state.step || state.show;
    if (by("found")) by("found").textContent = asked ? `${shown} of ${all} parents shown` : "";
    if (by("rest") && asked) by("rest").open = true;
  }

  function sort() {
    const body = document.querySelector("table.labels tbody");
    if (!body) return;
    const rows = [...body.rows];
    rows.forEach((row, i) => { if (!row.dataset.i) row.dataset.i = i; });
    const size = (row) => [...row.querySelectorAll("td.n")].slice(-2)
      .reduce((sum, cell) => sum + Number(cell.textContent.replace(/,/g, "")), 0);
    const order = {
      name: (a, b) => a.cells[0].textContent.localeCompare(b.cells[0].textContent),
      rows: (a, b) => size(b) - size(a),
    }[state.sort] || ((a, b) => a.dataset.i - b.dataset.i);
    body.append(...rows.sort(order));
  }

  function apply() {
    theme();
    for (const name of fields) if (by(name)) by(name).value = state[name] || "";
    filter();
    sort();
  }

  function map() {
    const drawing = document.querySelector("svg.map");
    const tip = by("tip");
    if (!drawing || !tip) return;
    const points = JSON.parse(by("data").textContent).points;
    const here = drawing.querySelector(".here");
    tip.hidden = false;
    tip.textContent = "Point at the map to read a row.";
    drawing.addEventListener("pointermove", (event) => {
      const box = drawing.getBoundingClientRect();
      const x = (event.clientX - box.left) / box.width * 440;
      const y = (event.clientY - box.top) / box.height * 320;
      let best = null, least = 400;
      for (const point of points) {
        const far = (point[0] - x) ** 2 + (point[1] - y) ** 2;
        if (far < least) { least = far; best = point; }
      }
      if (!best) return;
      here.setAttribute("cx", best[0]);
      here.setAttribute("cy", best[1]);
      tip.textContent = `${best[2]}: ${best[3]}`;
    });
  }

  function copying() {
    for (const code of document.querySelectorAll(".copy")) {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "copied";
      button.textContent = "copy";
      button.addEventListener("click", async () => {
        try {
          await navigator.clipboard.writeText(code.textContent);
          button.textContent = "copied";
        } catch {
          getSelection().selectAllChildren(code);
          button.textContent = "selected";
        }
        setTimeout(() => { button.textContent = "copy"; }, 1500);
      });
      code.after(button);
    }
  }

  for (const hidden of document.querySelectorAll(".controls, #theme")) hidden.hidden = false;
  by("theme").addEventListener("click", () => {
    const names = ["auto", "light", "dark"];
    state.theme = names[(names.indexOf(root.dataset.theme) + 1) % 3];
    theme();
    write();
  });
  for (const name of fields) {
    if (by(name)) by(name).addEventListener("input", (event) => {
      state[name] = event.target.value;
      write();
      (name === "sort" ? sort : filter)();
    });
  }
  for (const link of document.querySelectorAll("nav a")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      section = link.hash.slice(1);
      write();
      const target = by(section);
      target.tabIndex = -1;
      target.focus({ preventScroll: true });
      target.scrollIntoView();
    });
  }
  addEventListener("hashchange", () => { read(); apply(); });
  addEventListener("beforeprint", () => {
    for (const fold of document.querySelectorAll("details")) fold.open = true;
  });
  read();
  apply();
  map();
  copying();
  if (section && by(section)) by(section).scrollIntoView();
})();
