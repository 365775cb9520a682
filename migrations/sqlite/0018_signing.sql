-- How the sources of NAS entries sign their Access-Requests (CVE-2024-3596): Unix seconds, 0 where it never was.
-- proxies: the first unsigned one carried Proxy-State; -1 where none came.
CREATE TABLE IF NOT EXISTS tk_nas_signing (
    network TEXT NOT NULL,
    source TEXT NOT NULL,
    signed_since BIGINT NOT NULL DEFAULT 0,
    signed_last BIGINT NOT NULL DEFAULT 0,
    unsigned_since BIGINT NOT NULL DEFAULT 0,
    unsigned_last BIGINT NOT NULL DEFAULT 0,
    proxies BIGINT NOT NULL DEFAULT -1,
    PRIMARY KEY (network, source)
);
