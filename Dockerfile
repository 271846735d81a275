# Airflow's image with the packages of our lock, and the project, owned by root.
ARG AIRFLOW_IMAGE=apache/airflow:3.3.2
ARG PROMETHEUS_IMAGE=prom/prometheus:v2.53.3

FROM ${PROMETHEUS_IMAGE} AS prometheus

FROM ${AIRFLOW_IMAGE}

# Packages that the image has in the right version are kept; all others are verified by checksum.
USER airflow
RUN --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \
    --mount=type=cache,target=/tmp/uv-cache,uid=50000 \
    UV_LINK_MODE=copy uv pip install --cache-dir /tmp/uv-cache --python "$(command -v python)" --compile-bytecode \
        --require-hashes --requirement /tmp/requirements.txt \
    && python -m pip check

USER root
# checks and tests alert rules before they are installed
COPY --from=prometheus /bin/promtool /usr/local/bin/promtool
COPY dags /opt/bellwether/dags
COPY plugins /opt/bellwether/plugins
COPY include /opt/bellwether/include
COPY demo /opt/bellwether/demo
# Airflow's user is in root's group, so the group must not have write permission. A volume inherits the owner of its
# folder.
RUN python -m compileall -q /opt/bellwether \
    && chmod -R a+rX,go-w /opt/bellwether \
    && install --directory --owner=airflow --group=0 --mode=0775 /var/lib/bellwether /var/lib/bellwether/rules

USER airflow
WORKDIR /opt/bellwether
ENV PYTHONPATH=/opt/bellwether \
    PYTHONDONTWRITEBYTECODE=1 \
    XDG_CACHE_HOME=/tmp/cache \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/bellwether/dags \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/bellwether/plugins \
    AIRFLOW__CORE__LOAD_EXAMPLES=False
# While Redis is away, tasks stay queued. By default each fails after three tries within a second. A try ends after
# [celery] operation_timeout, which Airflow repeats; without the policy Celery would give up before.
ENV AIRFLOW__CELERY__TASK_PUBLISH_MAX_RETRIES=1000000 \
    AIRFLOW__CELERY__EXTRA_CELERY_CONFIG='{"task_publish_retry_policy": {"max_retries": null, "interval_start": 0.2}}' \
    AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES=24
