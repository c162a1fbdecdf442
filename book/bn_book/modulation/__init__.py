"""The chapter "Where γ and β come from": a generator of digits, its experiments, claims, figures and questions."""
