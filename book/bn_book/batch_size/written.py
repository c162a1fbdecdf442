"""What the chapter on batch size writes: its table. A browser needs no Matplotlib for it."""

from bn_book.batch_size.experiments import AllBatches


def _number(value: object) -> str:
    return f"{float(value):g}"  # type: ignore[arg-type]


def table_of_pairs(found: AllBatches) -> str:
    """Every ordered pair of the population as a Markdown table: mu_B and sigma2_B of each."""
    values = found.population
    rows = iter(zip(found.means, found.variances, strict=True))
    lines = ["| first \\ second | " + " | ".join(_number(v) for v in values) + " |", "|---" * (len(values) + 1) + "|"]
    for first in values:
        cells = [f"{_number(mean)}; {_number(var)}" for mean, var in (next(rows) for _ in values)]
        lines.append(f"| **{_number(first)}** | " + " | ".join(cells) + " |")
    return "\n".join(lines)
