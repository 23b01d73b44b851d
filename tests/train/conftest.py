"""What tests of the trainer share."""

import tests.warm as warm  # noqa: F401 - parses the digits once
