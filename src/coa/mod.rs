//! Outstanding Disconnect- and CoA-Requests: retransmission and outcome (RFC 5176). Pure.
