//! `cargo bench -p towline-bench` measures how long each takes.
//!
//! Times of one machine say little on another, and hide a tenth in noise. So `test.sh`
//! counts instructions of the same: `bench/instructions.py` runs `micro count NAME TIMES`.

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["names"] => towline_bench::names().for_each(|name| println!("{name}")),
        ["count", name, times] => {
            let times: u32 = times.parse().expect("how often is a number");
            let mut repetition = prepared(name);
            (0..times).for_each(|_| repetition());
        }
        _ => divan::main(),
    }
}

#[divan::bench(args = towline_bench::names())]
fn micro(bencher: divan::Bencher<'_, '_>, name: &str) {
    bencher.bench_local(prepared(name));
}

fn prepared(name: &str) -> towline_bench::Repetition {
    towline_bench::prepare(name).expect("it is one of `micro names`")
}
