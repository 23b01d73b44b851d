"""The handlers that BentoML gives to its own logger, to uvicorn's and to the root logger."""

import logging


def replace_handlers(handler: logging.Handler) -> None:
    """Send every record of this process to ``handler`` alone."""
    for name in ("bentoml", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
    logging.getLogger().handlers = [handler]
