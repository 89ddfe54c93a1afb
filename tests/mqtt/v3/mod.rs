//! MQTT 3.1.1, and 3.1 where it differs.

mod connect;
