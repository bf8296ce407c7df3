"""What is done to a question before an engine sees it: all pure."""
