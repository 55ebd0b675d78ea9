"""A Celery worker whose runs sleep: ``celery -A timegpt_assets_tests.instance.sleeping_worker worker``.

Queue, worker, task states and the workers' answers are Celery's own; a run of ours would take ten seconds to begin.
"""

import os
import time

from celery import Celery
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_celery.defaults import task_default_queue

app = Celery(broker=os.environ["DAGSTER_CELERY_BROKER"], backend=os.environ["DAGSTER_CELERY_BACKEND"])
app.conf.task_default_queue = task_default_queue


@app.task(name=TASK_EXECUTE_JOB_NAME, track_started=True)
def sleeps(seconds: float) -> None:
    """Be a run that takes that long."""
    time.sleep(seconds)
