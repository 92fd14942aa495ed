//! The order of versions, compared with what `dpkg` and `rpm` say of many generated pairs.

use std::cmp::Ordering;
use std::fmt::Write as _;
use std::process::Command;

use packhouse::formats::versions::{Evr, compare_deb, compare_rpm_evr, deb_sort_key};

use super::Random;
use crate::packages::output;

const PAIRS: usize = 400;

/// A version of a few parts, often like another one.
fn version(random: &mut Random, parts: &[&str]) -> String {
    (0..random.within(1..6)).map(|_| *random.of(parts)).collect()
}

/// Pairs of versions, half of them differing in one place only.
fn pairs(seed: u64, parts: &[&str]) -> Vec<(String, String)> {
    let mut random = Random::new(seed);
    let pair = |_| {
        let (head, a, b) = (version(&mut random, parts), version(&mut random, parts), version(&mut random, parts));
        if random.next().is_multiple_of(2) { (format!("{head}{a}"), format!("{head}{b}")) } else { (a, b) }
    };
    (0..PAIRS).map(pair).collect()
}

#[test]
fn debian_versions_are_ordered_as_dpkg_orders_them() {
    let parts =
        ["0", "1", "2", "09", "10", ".", ".", "~", "~rc", "a", "Z", "+", "+b1", "dfsg", "100000000000000000000"];
    let mut script = String::new();
    let mut asked = Vec::new();
    let mut random = Random::new(7);
    for (a, b) in pairs(1, &parts) {
        let mut full = |text: String| {
            let epoch = random.of(&["", "", "0:", "1:"]);
            let revision = random.of(&["", "", "-0", "-1", "-1~x", "-2-1"]);
            format!("{epoch}0{text}{revision}")
        };
        let (a, b) = (full(a), full(b));
        writeln!(
            script,
            "if dpkg --compare-versions '{a}' lt '{b}'; then echo lt; elif dpkg --compare-versions '{a}' eq '{b}'; then echo eq; else echo gt; fi"
        )
        .unwrap();
        asked.push((a, b));
    }
    let told = output(Command::new("sh").args(["-c", &script]));
    for ((a, b), told) in asked.iter().zip(told.lines()) {
        assert_eq!(compare_deb(a, b), order(told), "{a} {b}");
        assert_eq!(deb_sort_key(a).cmp(&deb_sort_key(b)), order(told), "{a} {b}");
    }
    assert_eq!(told.lines().count(), PAIRS);
}

#[test]
fn rpm_versions_are_ordered_as_rpm_orders_them() {
    let parts =
        ["0", "1", "2", "09", "10", ".", ".", "~", "^", "^git", "a", "Z", "+", "_", "rc", "100000000000000000000"];
    let pairs = pairs(2, &parts);
    let mut script = String::new();
    for (a, b) in &pairs {
        writeln!(script, "print(rpm.vercmp('{a}', '{b}') .. ' ')").unwrap();
    }
    let told = output(Command::new("rpm").arg("--eval").arg(format!("%{{lua: {script} }}")));
    let told: Vec<&str> = told.split_whitespace().collect();
    assert_eq!(told.len(), PAIRS);
    for ((a, b), told) in pairs.iter().zip(&told) {
        let (left, right) = (Evr::new(0, a, ""), Evr::new(0, b, ""));
        let expected = told.parse::<i32>().unwrap().cmp(&0);
        assert_eq!(compare_rpm_evr(&left, &right), expected, "{a} {b}");
        assert_eq!(left.sort_key().cmp(&right.sort_key()), expected, "{a} {b}");
    }
}

fn order(word: &str) -> Ordering {
    match word {
        "lt" => Ordering::Less,
        "eq" => Ordering::Equal,
        _ => Ordering::Greater,
    }
}
