//! What an accepted login leaves behind in SQL beside its record: its device, where the account remembers
//! devices, and that terms for one login are taken. Beside the login path, and not a promise: a device that
//! is not remembered is so with its next login, and memory knows what is taken.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::domain::SubscriberId;
use crate::engine::policy::Mac;
use crate::store::Store;
use crate::time::UnixTime;

/// What may wait.
const QUEUE: usize = 4_096;
/// Devices that are remembered of one subscriber.
const DEVICES_MAX: u32 = 5;

#[derive(Clone, Copy, Debug)]
pub(super) enum Keepsake {
    /// The device of a login by password.
    Device(SubscriberId, Mac),
    /// The row of `tk_override` whose terms a login has.
    Login(i64, UnixTime),
}

#[derive(Debug)]
pub(super) struct Keepsakes(mpsc::Sender<Keepsake>);

impl Keepsakes {
    /// Starts the task; it ends with the last sender.
    pub(super) fn start(store: Arc<Store>) -> (Self, JoinHandle<()>) {
        let (sender, receiver) = mpsc::channel(QUEUE);
        (Self(sender), tokio::spawn(run(receiver, store)))
    }

    /// Keeps it, unless too much waits.
    pub(super) fn keep(&self, keepsake: Keepsake) {
        let _ = self.0.try_send(keepsake);
    }
}

async fn run(mut receiver: mpsc::Receiver<Keepsake>, store: Arc<Store>) {
    while let Some(keepsake) = receiver.recv().await {
        let kept = match keepsake {
            Keepsake::Device(subscriber, mac) => store.remember_device(subscriber, &mac, DEVICES_MAX).await,
            Keepsake::Login(id, at) => store.take_login(id, at).await,
        };
        if let Err(error) = kept {
            tracing::debug!(%error, "what a login leaves behind was not kept");
        }
    }
}
