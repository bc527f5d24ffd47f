"""What our lab adds to leaven: an operator, a recipe and a model."""

schemes = {"mylab": "mylab.backend:Capitals"}
