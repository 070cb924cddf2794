-- Devices and their keys, which are encrypted.
CREATE TABLE device (
    id TEXT PRIMARY KEY,
    enabled BOOLEAN NOT NULL,
    -- Changes with the keys and groups, and when the device is enabled or disabled.
    revision BIGINT NOT NULL,
    -- The key, encrypted.
    sealed_key BYTEA NOT NULL,
    -- While the device changes its key: the other one, which is valid too.
    other_sealed_key BYTEA,
    -- Seconds since 1970.
    created BIGINT NOT NULL,
    last_seen BIGINT
);

CREATE TABLE device_group (
    device TEXT NOT NULL REFERENCES device (id) ON DELETE CASCADE,
    name TEXT NOT NULL,
    PRIMARY KEY (device, name)
);

-- Tells all gateways which device has changed.
CREATE FUNCTION notify_device() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('chanbind_device', CASE TG_OP WHEN 'DELETE' THEN OLD.id ELSE NEW.id END);
    RETURN NULL;
END $$;
CREATE TRIGGER device_changed AFTER INSERT OR DELETE OR UPDATE OF revision ON device
    FOR EACH ROW EXECUTE FUNCTION notify_device();
