"""The StatsD relay: a process of its own on 127.0.0.1:8125 that passes metrics on to the gateway. docs/statsd.md says why it is made so."""
