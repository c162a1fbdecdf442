"""The chapter "Is it covariate shift, or smoothness?": its experiments, claims, figures and questions."""
