FROM node:22
ONBUILD COPY package.json .
ONBUILD RUN npm ci
RUN --network=none npm install --offline ./vendored
