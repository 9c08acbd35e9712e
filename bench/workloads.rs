// workloads.rs - the workloads on channels in Rust; see bench.h for the command line and what is printed
#![allow(dead_code)] // not every channel can do all of them

use std::fmt::Display;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

pub trait Channel {
    type Sender: Clone + Send + 'static;
    type Receiver: Send + 'static;
    fn new(capacity: usize) -> (Self::Sender, Self::Receiver);
    fn send(to: &Self::Sender, value: u64);
    fn recv(from: &Self::Receiver) -> u64;
}

#[derive(Clone, Copy)]
pub struct Run {
    pub name: &'static str,
    pub n: u64,
    pub threads: usize,
    pub cases: usize,
}

pub type Workload = (&'static str, u64, fn(Run));

pub fn or_else(asked: usize, usual: usize) -> usize {
    if asked != 0 { asked } else { usual }
}

pub fn fail(name: &str, what: impl Display) -> ! {
    println!("{} WRONG: {}", name, what);
    std::process::exit(1)
}

pub fn check_sum(name: &str, sum: u64, n: u64) {
    let expected = if n % 2 == 0 { (n / 2).wrapping_mul(n + 1) } else { ((n + 1) / 2).wrapping_mul(n) };
    if sum != expected {
        fail(name, format!("the sum is {}, not {}", sum, expected));
    }
}

pub fn report(name: &str, value: f64) {
    println!("{} {}", name, if value < 1e4 { format!("{:.4}", value) } else { format!("{:.0}", value) });
}

impl Run {
    pub fn report_each(&self, elapsed: Duration, n: u64) {
        report(self.name, elapsed.as_nanos() as f64 / n as f64);
    }
}

pub fn main_of(workloads: &[Workload]) {
    let args: Vec<String> = std::env::args().collect();
    if args.len() < 2 {
        for w in workloads {
            println!("{} {}", w.0, w.1);
        }
        return;
    }
    let number = |i: usize, usual: u64| args.get(i).map_or(usual, |text| text.parse().expect("a number"));
    match workloads.iter().find(|w| w.0 == args[1]) {
        Some(w) => (w.2)(Run { name: w.0, n: number(2, w.1), threads: number(3, 0) as usize, cases: number(4, 0) as usize }),
        None => {
            eprintln!("no workload {} here", args[1]);
            std::process::exit(2)
        }
    }
}

// ---- Producers and consumers

fn work(mut x: u64) -> u64 {
    for _ in 0..700 {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    x
}

static WORKED: AtomicU64 = AtomicU64::new(0);

fn produce<C: Channel>(to: C::Sender, first: u64, n: u64) {
    for i in 0..n {
        C::send(&to, first + i);
    }
}

fn consume<C: Channel>(from: C::Receiver, n: u64) -> u64 {
    (0..n).fold(0u64, |sum, _| sum.wrapping_add(C::recv(&from)))
}

fn produce_working<C: Channel>(to: C::Sender, first: u64, n: u64) {
    let mut x = 1;
    for i in 0..n {
        x = work(x);
        C::send(&to, first + i);
    }
    WORKED.fetch_add(x, Relaxed);
}

fn consume_working<C: Channel>(from: C::Receiver, n: u64) -> u64 {
    let (mut x, mut sum) = (1, 0u64);
    for _ in 0..n {
        sum = sum.wrapping_add(C::recv(&from));
        x = work(x);
    }
    WORKED.fetch_add(x, Relaxed);
    sum
}

pub fn flow<C: Channel>(run: Run, sender: C::Sender, receivers: Vec<C::Receiver>, producers: usize,
                        producer: fn(C::Sender, u64, u64), consumer: fn(C::Receiver, u64) -> u64) {
    let (p, q) = (producers as u64, receivers.len() as u64);
    let n = (run.n / (p * q) + 1) * p * q;

    let start = Instant::now();
    let producing: Vec<_> = (0..p).map(|i| {
        let sender = sender.clone();
        thread::spawn(move || producer(sender, i * (n / p) + 1, n / p))
    }).collect();
    let consuming: Vec<_> = receivers.into_iter().map(|receiver| {
        thread::spawn(move || consumer(receiver, n / q))
    }).collect();
    let sum = consuming.into_iter().fold(0u64, |sum, thread| sum.wrapping_add(thread.join().unwrap()));
    for thread in producing {
        thread.join().unwrap();
    }
    let elapsed = start.elapsed();
    check_sum(run.name, sum, n);
    run.report_each(elapsed, n);
}

pub fn to_one<C: Channel, const CAPACITY: usize, const PRODUCERS: usize>(run: Run) {
    let producers = if PRODUCERS == 1 { 1 } else { or_else(run.threads, PRODUCERS) };
    let (sender, receiver) = C::new(CAPACITY);
    flow::<C>(run, sender, vec![receiver], producers, produce::<C>, consume::<C>);
}

pub fn to_many<C: Channel, const CAPACITY: usize>(run: Run) where C::Receiver: Clone {
    let side = or_else(run.threads, 4);
    let (sender, receiver) = C::new(CAPACITY);
    flow::<C>(run, sender, vec![receiver; side], side, produce::<C>, consume::<C>);
}

pub fn working<C: Channel>(run: Run) {
    let (sender, receiver) = C::new(1024);
    flow::<C>(run, sender, vec![receiver], 1, produce_working::<C>, consume_working::<C>);
}

// ---- One thread

pub fn send_and_receive<C: Channel>(run: Run) {
    let (sender, receiver) = C::new(1024);
    let mut sum = 0u64;
    let start = Instant::now();
    for i in 1..=run.n {
        C::send(&sender, i);
        sum = sum.wrapping_add(C::recv(&receiver));
    }
    let elapsed = start.elapsed();
    check_sum(run.name, sum, run.n);
    run.report_each(elapsed, run.n);
}

pub fn one_thread<C: Channel>(run: Run) {
    let (sender, receiver) = C::new(1);
    let second = thread::spawn(move || C::recv(&receiver));
    send_and_receive::<C>(run);
    C::send(&sender, 1);
    second.join().unwrap();
}

// ---- To and fro

fn pass_on<C: Channel>(from: C::Receiver, to: C::Sender, n: u64) {
    for _ in 0..n {
        C::send(&to, C::recv(&from));
    }
}

pub fn ping_pong<C: Channel>(run: Run) {
    let (there, arrives) = C::new(0);
    let (answers, back) = C::new(0);
    let mut sum = 0u64;
    let start = Instant::now();
    let other = thread::spawn(move || pass_on::<C>(arrives, answers, run.n));
    for i in 1..=run.n {
        C::send(&there, i);
        sum = sum.wrapping_add(C::recv(&back));
    }
    other.join().unwrap();
    let elapsed = start.elapsed();
    check_sum(run.name, sum, run.n);
    run.report_each(elapsed, run.n);
}

// ---- How long each hand-over takes; at most two seconds of them, and then u64::MAX

const LONGEST_TAIL: u64 = 2_000_000_000;

/// The time for each element in all, then the time that 50, 99 and 99.9 % of them have not exceeded.
fn report_tail(run: Run, elapsed: Duration, mut took: Vec<u64>) {
    run.report_each(elapsed, run.n);
    took.sort_unstable();
    for percent in [50.0, 99.0, 99.9] {
        let at = (percent / 100.0 * (run.n - 1) as f64) as usize;
        report(&format!("{}-{}", run.name, percent), took[at] as f64);
    }
}

pub fn one_to_one_tail<C: Channel>(mut run: Run) {
    let (to, from) = C::new(0);
    let mut took = vec![1u64; run.n as usize];
    let mut sum = 0u64;
    let start = Instant::now();
    let producer = thread::spawn(move || {
        let (mut sum, mut sent) = (0u64, 0);
        for _ in 0..run.n {
            if sent >= LONGEST_TAIL {
                break;
            }
            sent = start.elapsed().as_nanos() as u64;
            C::send(&to, sent);
            sum = sum.wrapping_add(sent);
        }
        C::send(&to, u64::MAX);
        sum
    });
    run.n = 0;
    loop {
        let sent = C::recv(&from);
        if sent == u64::MAX {
            break;
        }
        took[run.n as usize] = start.elapsed().as_nanos() as u64 - sent;
        run.n += 1;
        sum = sum.wrapping_add(sent);
    }
    let sent = producer.join().unwrap();
    let elapsed = start.elapsed();
    if sum != sent {
        fail(run.name, "the times sent are not those received");
    }
    took.truncate(run.n as usize);
    report_tail(run, elapsed, took);
}

fn send_back<C: Channel>(from: C::Receiver, to: C::Sender) {
    loop {
        let value = C::recv(&from);
        if value == u64::MAX {
            break;
        }
        C::send(&to, value);
    }
}

pub fn ping_pong_tail<C: Channel>(mut run: Run) {
    let (there, arrives) = C::new(0);
    let (answers, back) = C::new(0);
    let mut took = vec![1u64; run.n as usize];
    let mut sum = 0u64;
    let start = Instant::now();
    let other = thread::spawn(move || send_back::<C>(arrives, answers));
    let (mut n, mut last) = (0, 0);
    while n < run.n && last < LONGEST_TAIL {
        C::send(&there, n + 1);
        sum = sum.wrapping_add(C::recv(&back));
        let now = start.elapsed().as_nanos() as u64;
        took[n as usize] = now - last;
        last = now;
        n += 1;
    }
    C::send(&there, u64::MAX);
    other.join().unwrap();
    let elapsed = start.elapsed();
    run.n = n;
    took.truncate(n as usize);
    check_sum(run.name, sum, n);
    report_tail(run, elapsed, took);
}

// ---- Round a ring

pub fn token_ring<C: Channel>(run: Run) {
    const RING: u64 = 503;
    let rounds = run.n / RING + 1;
    let (first, mut last) = C::new(0);
    let threads: Vec<_> = (1..RING).map(|_| {
        let (to, from) = C::new(0);
        let from = std::mem::replace(&mut last, from);
        thread::spawn(move || pass_on::<C>(from, to, rounds + 1))
    }).collect();
    let mut sum = 0u64;
    let mut start = Instant::now();
    for i in 0..=rounds {
        C::send(&first, i + 1);
        sum = sum.wrapping_add(C::recv(&last));
        if i == 0 {
            start = Instant::now();
        }
    }
    let elapsed = start.elapsed();
    check_sum(run.name, sum, rounds + 1);
    run.report_each(elapsed, rounds * RING);
    for thread in threads {
        thread.join().unwrap();
    }
}

// ---- The sieve

pub fn sieve<C: Channel>(run: Run) {
    const PRIMES: usize = 500;
    const LAST: u64 = 3571;
    let mut primes = 0;
    let start = Instant::now();
    let (to, mut from) = C::new(0);
    let mut threads = vec![thread::spawn(move || {
        for i in 2..=LAST {
            C::send(&to, i);
        }
        C::send(&to, u64::MAX);
    })];
    loop {
        let prime = C::recv(&from);
        if prime == u64::MAX {
            break;
        }
        primes += 1;
        let (to, next) = C::new(0);
        let from = std::mem::replace(&mut from, next);
        threads.push(thread::spawn(move || loop {
            let i = C::recv(&from);
            if i == u64::MAX || i % prime != 0 {
                C::send(&to, i);
            }
            if i == u64::MAX {
                break;
            }
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    let elapsed = start.elapsed();
    if primes != PRIMES {
        fail(run.name, format!("{} primes", primes));
    }
    report(run.name, elapsed.as_nanos() as f64 / 1e6);
}
