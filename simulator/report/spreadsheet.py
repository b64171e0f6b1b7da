"""series.csv: the run over time, one row a bucket, for a spreadsheet or a notebook.

In:      `Finished`.
Out:     CSV (RFC 4180) with a head; numbers only, so that no cell can be a formula.
Units:   `from_s` seconds since the start, latencies in milliseconds, `overcharged_*` in minor units; counts are of the
         bucket, not adding up.
"""

import csv
import io

from simulator.report.finished import Finished


def series_csv(finished: Finished) -> str:
    series = finished.series
    names = sorted(series.columns)
    p50, p99 = series.quantile("all", 50), series.quantile("all", 99)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["from_s", *(name.replace(" ", "_") for name in names), "p50_ms", "p99_ms"])
    for index, start in enumerate(series.starts_s):
        quantiles = ("" if value is None else value for value in (p50[index], p99[index]))
        writer.writerow([f"{start:g}", *(series.columns[name][index] for name in names), *quantiles])
    return text.getvalue()
