FROM python:3.13-slim AS wheels
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update -qq && apt-get install -qq -y gcc libpq-dev > /dev/null 2>&1
COPY requirements.txt .
RUN pip wheel --wheel-dir /wheels -r requirements.txt
FROM python:3.13-slim
RUN --mount=type=bind,from=wheels,source=/wheels,target=/wheels python -m pip install --no-index --find-links /wheels app
USER 1000:1000
RUN ["pip", "install", "--user", "gunicorn"]
CMD ["gunicorn", "app:app"]
