"""What is different from framework to framework: each is dealt with only where it has been imported already."""
