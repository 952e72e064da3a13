"""The report: every table and figure that some workdirs can supply, published beside ours."""
