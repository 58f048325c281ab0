# escape=`
FROM mcr.microsoft.com/dotnet/sdk:9.0 AS build
SHELL ["powershell", "-Command"]
RUN npm install `
    --global yarn
WORKDIR /src
COPY . .
RUN dotnet restore
