# The controller's image: `make image`. The binary is static, and carries its own roots of
# trust, so the image holds nothing else.
FROM scratch
COPY bin/linux/controller /controller
USER 65532:65532
ENTRYPOINT ["/controller"]
