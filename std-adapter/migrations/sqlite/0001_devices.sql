-- Devices and their keys, which are encrypted.
CREATE TABLE device (
    id TEXT PRIMARY KEY NOT NULL,
    enabled BOOLEAN NOT NULL,
    -- Changes with the keys and groups, and when the device is enabled or disabled.
    revision BIGINT NOT NULL,
    -- The key, encrypted.
    sealed_key BLOB NOT NULL,
    -- While the device changes its key: the other one, which is valid too.
    other_sealed_key BLOB,
    -- Seconds since 1970.
    created BIGINT NOT NULL,
    last_seen BIGINT
);

CREATE TABLE device_group (
    device TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (device, name)
);

-- The number of changes that gateways must see. Gateways look at it, because SQLite tells nothing to other processes.
CREATE TABLE change_count (
    only_row BOOLEAN PRIMARY KEY CHECK (only_row),
    number BIGINT NOT NULL
);
INSERT INTO change_count VALUES (TRUE, 0);

CREATE TRIGGER device_inserted AFTER INSERT ON device BEGIN
    UPDATE change_count SET number = number + 1;
END;
CREATE TRIGGER device_changed AFTER UPDATE OF revision ON device BEGIN
    UPDATE change_count SET number = number + 1;
END;
CREATE TRIGGER device_deleted AFTER DELETE ON device BEGIN
    UPDATE change_count SET number = number + 1;
END;
