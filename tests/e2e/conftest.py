"""Shows the tables that tests made, at the end of the run."""


def pytest_terminal_summary(terminalreporter):
    reports = [report for rows in terminalreporter.stats.values() for report in rows]
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == "table" and report.when == "call":
                terminalreporter.section(report.nodeid.rpartition("::")[2])
                terminalreporter.write_line(value)
