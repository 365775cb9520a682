//! How the service answers: at once, after a commit, after something was fetched, or not at all.

use std::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::domain::{SessionKey, SubscriberId, UniqueId};
use crate::engine::password::SlowCheck;
use crate::engine::policy::Mac;

/// What becomes of an Access-Request.
#[derive(Debug)]
pub enum Answer<R> {
    /// Here it is.
    Now(R),
    /// Something has to be fetched or computed first: `Aaa::resolve` the work on the runtime, then
    /// ask again with what it gave.
    Later(Work),
    /// Silence, so that the NAS retransmits or tries its next server.
    Silence(NoReply),
}

/// What becomes of an Accounting-Request.
#[derive(Debug)]
pub enum Acknowledgement {
    /// The writer holds the waiter and hands it to [`Deliver`] after the commit.
    Pending,
    /// As [`Answer::Later`]; the waiter comes back.
    Later(Work, Waiter),
    /// Silence.
    Silence(NoReply),
}

/// Why there is no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoReply {
    /// What must be known or written cannot be had from SQL now.
    StoreUnavailable,
    /// A bounded queue is full.
    Overloaded,
    /// The request says nothing that could be recorded (no Acct-Session-Id …).
    NothingToRecord,
}

/// Whom the directory has to look up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wanted {
    /// Who has this login.
    Login(SmolStr),
    /// Who has this number: our token in Class named it.
    Subscriber(SubscriberId),
    /// Whom this device lets in.
    Device(Mac),
}

/// What has to be done before a request can be answered. Never longer than a deadline of its own.
#[derive(Debug)]
pub enum Work {
    /// Rows that are not in memory.
    Load {
        /// Somebody whom the directory has not looked up.
        who: Option<Wanted>,
        /// Sessions that may have a row from before.
        sessions: SmallVec<[(SessionKey, UniqueId); 2]>,
        /// A record waits for them, which is put off where SQL does not answer soon.
        record: bool,
    },
    /// The stored password is a slow hash: verify on a bounded pool.
    SlowPassword(SlowCheck),
    /// Every place is taken, and this session has to end for the login.
    GiveWay(UniqueId),
}

/// What [`Work`] gave; passed back with the request when it is asked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Everything was fetched that can be: what is still missing does not exist.
    pub looked_up: bool,
    /// SQL did not answer.
    pub unanswered: bool,
    /// It was fetched from a snapshot: nothing to whoever has the database.
    pub guessed: bool,
    /// Verdict on the slow password.
    pub password: Option<bool>,
}

/// An encoded reply that waits for its record to be durable, and where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiter {
    /// Which listening socket received the request; the number is the network's own.
    pub listener: u32,
    /// Where the reply goes.
    pub peer: SocketAddr,
    /// The address the request was sent to, if it is known: the reply leaves from it.
    pub local: Option<IpAddr>,
    /// Identifier of the request.
    pub identifier: u8,
    /// Request Authenticator.
    pub authenticator: [u8; 16],
    /// The whole reply.
    pub reply: Box<[u8]>,
}

/// What the network does for the service once records are durable, or known not to be.
pub trait Deliver: Send + Sync {
    /// Sends the replies, in order, and empties `waiters`.
    fn committed(&self, waiters: &mut Vec<Waiter>);

    /// Forgets the requests, so that a retransmission is served anew, and empties `waiters`.
    fn abandoned(&self, waiters: &mut Vec<Waiter>);
}
