//! The help texts of the metrics of this crate.

use super::Described;

pub(super) const MEASURES: &[Described] = &[
    (
        "alerts_total",
        "Messages about alerts, by what became of them: sent, missed by the chat, or dropped since there were too many.",
    ),
    ("boxoffice_build_info", "1, with the version and the commit that this program is built from as labels."),
    ("connections_open", "Connections that clients have open."),
    (
        "connections_refused_total",
        "Connections of clients that were closed again, by why: too many of all or of a network, silent, displaced.",
    ),
    (
        "db_contended_total",
        "Transactions that lost against others and were made again, by the transaction's name.",
    ),
    ("db_connections_idle", "Connections to the database that nobody uses at this moment, by database."),
    ("db_connections_open", "Connections to the database, by database."),
    ("db_disk_free_bytes", "Bytes that are left to us on the disk of a SQLite file, by database."),
    ("db_disk_size_bytes", "Bytes of the disk that a SQLite file is on, by database."),
    ("db_group_size", "Asks that one group commit did together, by the transaction's name."),
    ("db_refused_total", "Asks for a database connection that were refused because too many waited in vain."),
    (
        "db_retired_total",
        "Times that all database connections were given up: the server was gone, going, or took no writes.",
    ),
    ("db_size_bytes", "Bytes of a SQLite file, its write-ahead log apart, by database."),
    (
        "db_transaction_seconds",
        "How long a transaction took, with all its attempts, by the transaction's name.",
    ),
    ("grpc_client_retries_total", "Calls of other services that were made again."),
    ("grpc_request_seconds", "How long a gRPC call took until its answer began, by server and method."),
    ("grpc_requests_total", "gRPC calls answered, by server, method and status code."),
    (
        "grpc_shed_total",
        "gRPC calls refused before they were looked at, by server and why: too many, no message in time, no gRPC.",
    ),
    (
        "log_lines_dropped_total",
        "Log lines dropped because they were written faster than somebody took them.",
    ),
    ("prune_failures_total", "Rounds of forgetting old rows that failed, by table."),
    ("pruned_rows_total", "Old rows that were forgotten, by table."),
    (
        "tls_certificate_expires_timestamp_seconds",
        "When the certificates in a file expire, in seconds since 1970: the first of a program's own, the last of authorities.",
    ),
    (
        "tls_refused_total",
        "TLS connections that were not made, by what the peer is (client or server) and why.",
    ),
    (
        "tls_reloads_total",
        "Times that changed certificates were read, by outcome: used, or refused and those before kept.",
    ),
    (
        "trace_spans_ended_total",
        "Spans that were handed over for a collector of traces; those that it was not offered were too many at once.",
    ),
    ("trace_spans_total", "Spans that were offered to a collector of traces, by outcome: sent or failed."),
];
