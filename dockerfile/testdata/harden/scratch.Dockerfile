FROM scratch
COPY rootfs /
CMD ["/init"]
