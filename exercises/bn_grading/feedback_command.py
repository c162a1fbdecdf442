"""`bn-feedback`: what makes the pages is begun first, and imports what it needs while the command does the same."""

from bn_grading import apart


def main() -> None:
    """Run the command."""
    apart.begin("bn_grading.feedback")
    from bn_grading.feedback_app import FeedbackApp

    FeedbackApp.run()


if __name__ == "__main__":
    main()
