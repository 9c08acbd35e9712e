// mpsc.rs - the workloads on the channels of Rust's standard library, which have one receiver and no select

mod workloads;
use std::sync::mpsc;
use workloads::*;

struct Mpsc;

impl Channel for Mpsc {
    type Sender = mpsc::SyncSender<u64>;
    type Receiver = mpsc::Receiver<u64>;
    fn new(capacity: usize) -> (Self::Sender, Self::Receiver) {
        mpsc::sync_channel(capacity)
    }
    fn send(to: &Self::Sender, value: u64) {
        to.send(value).unwrap();
    }
    fn recv(from: &Self::Receiver) -> u64 {
        from.recv().unwrap()
    }
}

fn main() {
    main_of(&[
        ("W1", 3000000, one_thread::<Mpsc>),
        ("W2", 3000000, to_one::<Mpsc, 1024, 1>),
        ("W2b", 1000000, to_one::<Mpsc, 16, 1>),
        ("W2c", 300000, to_one::<Mpsc, 1, 1>),
        ("W3", 300000, to_one::<Mpsc, 0, 1>),
        ("W3-tail", 300000, one_to_one_tail::<Mpsc>),
        ("W4", 100000, ping_pong::<Mpsc>),
        ("W4-tail", 100000, ping_pong_tail::<Mpsc>),
        ("W5", 2000000, to_one::<Mpsc, 1024, 4>),
        ("W5b", 100000, to_one::<Mpsc, 0, 4>),
        ("W10", 50000, token_ring::<Mpsc>),
        ("W11", 1, sieve::<Mpsc>),
        ("W13", 200000, working::<Mpsc>),
    ]);
}
