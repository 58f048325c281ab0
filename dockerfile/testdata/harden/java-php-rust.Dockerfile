FROM maven:3-eclipse-temurin-21 AS java
RUN mvn -B package
FROM rust:1.90 AS rust
RUN cargo fetch --locked
RUN cargo build --release --offline
FROM composer:2 AS php
RUN composer install --no-dev --prefer-dist
FROM php:8.4-apache
RUN apt-get update \
  && apt-get install -y libzip-dev unzip \
  && docker-php-ext-install zip
COPY --from=php /app/vendor /var/www/vendor
