// crossbeam.rs - the workloads on crossbeam-channel

mod workloads;
use crossbeam_channel::{bounded, Receiver, Select, Sender};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};
use workloads::*;

struct Crossbeam;

impl Channel for Crossbeam {
    type Sender = Sender<u64>;
    type Receiver = Receiver<u64>;
    fn new(capacity: usize) -> (Self::Sender, Self::Receiver) {
        bounded(capacity)
    }
    fn send(to: &Self::Sender, value: u64) {
        to.send(value).unwrap();
    }
    fn recv(from: &Self::Receiver) -> u64 {
        from.recv().unwrap()
    }
}

fn select_one<const CAPACITY: usize>(run: Run) {
    let (producers, cases) = (or_else(run.threads, 4), or_else(run.cases, 8));
    let share = run.n / producers as u64 + 1;
    let n = share * producers as u64;
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..cases).map(|_| bounded::<u64>(CAPACITY)).unzip();
    let mut select = Select::new();
    for receiver in &receivers {
        select.recv(receiver);
    }

    let start = Instant::now();
    let feeders: Vec<_> = (0..producers).map(|p| {
        let senders = senders.clone();
        thread::spawn(move || {
            let mut at = p % cases;
            for i in 0..share {
                senders[at].send(p as u64 * share + 1 + i).unwrap();
                at = (at + producers) % cases;
            }
        })
    }).collect();
    let mut sum = 0u64;
    for _ in 0..n {
        let ready = select.select();
        let index = ready.index();
        sum = sum.wrapping_add(ready.recv(&receivers[index]).unwrap());
    }
    for feeder in feeders {
        feeder.join().unwrap();
    }
    let elapsed = start.elapsed();
    check_sum(run.name, sum, n);
    run.report_each(elapsed, n);
}

fn parked(run: Run) {
    let (quit, quitting) = bounded::<u64>(0);
    let ready = Arc::new(Barrier::new(run.threads + 1));
    let threads: Vec<_> = (0..run.threads).map(|_| {
        let (quitting, ready) = (quitting.clone(), ready.clone());
        thread::Builder::new().stack_size(256 << 10).spawn(move || {
            let (_never, other) = bounded::<u64>(0);
            let mut select = Select::new();
            let first = select.recv(&quitting);
            select.recv(&other);
            ready.wait();
            let done = select.select();
            assert!(done.index() == first && done.recv(&quitting).is_err());
        }).unwrap()
    }).collect();
    ready.wait();
    thread::sleep(Duration::from_millis(300));
    send_and_receive::<Crossbeam>(run);
    drop(quit);
    for thread in threads {
        thread.join().unwrap();
    }
}

fn resident_kilobytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    statm.split(' ').nth(1).map_or(0.0, |pages| pages.parse::<f64>().unwrap() * 4.0)
}

fn block_tasks(run: Run) {
    let sum = Arc::new(AtomicU64::new(0));
    let (gate, opened) = bounded::<u64>(0);
    let (arrive, arrived) = bounded::<()>(run.n as usize);
    let before = resident_kilobytes();
    let start = Instant::now();
    let threads: Vec<_> = (1..=run.n).map(|i| {
        let (sum, opened, arrive) = (sum.clone(), opened.clone(), arrive.clone());
        thread::Builder::new().stack_size(256 << 10).spawn(move || {
            arrive.send(()).unwrap();
            assert!(opened.recv().is_err());
            sum.fetch_add(i, Relaxed);
        }).unwrap()
    }).collect();
    for _ in 0..run.n {
        arrived.recv().unwrap();
    }
    let created = start.elapsed();
    let after = resident_kilobytes();
    let waking = Instant::now();
    drop(gate);
    for thread in threads {
        thread.join().unwrap();
    }
    let woken = waking.elapsed();
    check_sum(run.name, sum.load(Relaxed), run.n);
    let n = run.n as f64;
    report("W9", created.as_nanos() as f64 / n);
    report("W9-wake", woken.as_nanos() as f64 / n);
    report("W9-memory", (after - before) / n);
}

fn main() {
    main_of(&[
        ("W1", 3000000, one_thread::<Crossbeam>),
        ("W2", 3000000, to_one::<Crossbeam, 1024, 1>),
        ("W2b", 1000000, to_one::<Crossbeam, 16, 1>),
        ("W2c", 300000, to_one::<Crossbeam, 1, 1>),
        ("W3", 300000, to_one::<Crossbeam, 0, 1>),
        ("W3-tail", 300000, one_to_one_tail::<Crossbeam>),
        ("W4", 100000, ping_pong::<Crossbeam>),
        ("W4-tail", 100000, ping_pong_tail::<Crossbeam>),
        ("W5", 2000000, to_one::<Crossbeam, 1024, 4>),
        ("W5b", 100000, to_one::<Crossbeam, 0, 4>),
        ("W6", 2000000, to_many::<Crossbeam, 1024>),
        ("W6b", 100000, to_many::<Crossbeam, 0>),
        ("W7", 100000, select_one::<0>),
        ("W7b", 500000, select_one::<64>),
        ("W9", 10000, block_tasks),
        ("W10", 50000, token_ring::<Crossbeam>),
        ("W11", 1, sieve::<Crossbeam>),
        ("W13", 200000, working::<Crossbeam>),
        ("PARKED", 1000000, parked),
    ]);
}
