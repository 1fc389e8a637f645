"""``report.html``: what a run made, beside what it learnt from, in one file that can be sent."""

from dyntex.experiment.report.report import REPORT, ReportFacts, write_report

__all__ = ["REPORT", "ReportFacts", "write_report"]
