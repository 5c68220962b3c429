use proptest::prelude::*;
use writ_expr::quantity::{
    Bound, Bytes, Comparator, Cores, Count, Currency, Delta, Money, MoneyRate, Period, Quantity, Rate, Ratio, Span,
    bound,
};
use writ_text::{Limits, Problems, read};

fn prints<Q: Quantity>(cases: &[(&str, &str)]) {
    for (text, printed) in cases {
        let value = Q::read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(value.to_string(), *printed, "{text}");
        assert!(Q::read(printed).unwrap() == value, "{text}");
    }
}

fn refuses<Q: Quantity>(cases: &[(&str, &str)]) {
    for (text, told) in cases {
        let Err(error) = Q::read(text) else { panic!("{text} was read") };
        assert_eq!(format!("{error}; {}", error.hint()), *told, "{text}");
    }
}

#[test]
fn quantities_are_exact_and_print_canonically() {
    prints::<Ratio>(&[
        ("99.9%", "99.9%"),
        ("0.999", "99.9%"),
        ("99.90 %", "99.9%"),
        ("0", "0%"),
        ("1", "100%"),
        ("5%", "5%"),
        ("99.999999%", "99.999999%"),
    ]);
    prints::<Span>(&[
        ("100ms", "100ms"),
        ("0.1s", "100ms"),
        ("3 ms", "3ms"),
        ("9.1ms", "9.1ms"),
        ("60s", "1min"),
        ("90s", "90s"),
        ("1.5s", "1.5s"),
        ("7 days", "7d"),
        ("24h", "1d"),
        ("250us", "250us"),
        ("0s", "0ms"),
    ]);
    prints::<Rate>(&[
        ("1000 req/s", "1000 req/s"),
        ("1000rps", "1000 req/s"),
        ("1.5k req/s", "1500 req/s"),
        ("0.5 req/s", "0.5 req/s"),
    ]);
    prints::<Money>(&[
        ("$500", "$500"),
        ("500 USD", "$500"),
        ("USD 0.0416", "$0.0416"),
        ("€20", "€20"),
        ("CHF 20", "CHF 20"),
    ]);
    prints::<MoneyRate>(&[("$500/month", "$500/month"), ("$0.0416/h", "$0.0416/h"), ("20 CHF / day", "CHF 20/day")]);
    prints::<Bytes>(&[
        ("4GiB", "4GiB"),
        ("512MB", "512MB"),
        ("1.5GiB", "1536MiB"),
        ("4096", "4KiB"),
        ("100", "100B"),
        ("2Gi", "2GiB"),
    ]);
    prints::<Cores>(&[("2", "2 cores"), ("500m", "0.5 cores"), ("1.5 cores", "1.5 cores"), ("1 vCPU", "1 core")]);
    prints::<Count>(&[("3", "3")]);
}

#[test]
fn row_2_01_the_source_writes_its_quantities_so() {
    assert_eq!(Bound::<Ratio>::read("99.9%", Comparator::AtLeast).unwrap().to_string(), ">=99.9%");
    assert_eq!(Bound::<Span>::read("<100ms", Comparator::AtMost).unwrap().to_string(), "<100ms");
    assert_eq!(Bound::<Rate>::read(">1000 req/s", Comparator::AtLeast).unwrap().to_string(), ">1000 req/s");
    assert_eq!(Bound::<MoneyRate>::read("$500/month", Comparator::AtMost).unwrap().to_string(), "<=$500/month");
    assert_eq!(Delta::<MoneyRate>::read("+$50/month").unwrap().to_string(), "+$50/month");
    assert_eq!(Delta::<Ratio>::read("+0.02%").unwrap().to_string(), "+0.02%");
    assert_eq!(Delta::<Span>::read("-15ms").unwrap().to_string(), "-15ms");
}

#[test]
fn a_wrong_dimension_names_the_right_form() {
    refuses::<Span>(&[
        ("100%", "`100%` is a ratio, and a length of time is wanted here; write it like '100ms'"),
        ("100", "`100` is not a length of time; write it like '100ms'"),
        ("5m", "`5m` is not a length of time; write it like '100ms'"),
        ("-5ms", "`-5ms` has a sign, and a length of time is wanted here, not a change of one; write it like '100ms'"),
        ("0.1ns", "`0.1ns` is finer than what can be counted exactly; write fewer decimals"),
        ("999999999d", "`999999999d` is out of range for a length of time; write it like '100ms'"),
    ]);
    refuses::<Ratio>(&[
        ("99.9", "`99.9` is not a ratio; write it like '99.9%'"),
        ("100ms", "`100ms` is a length of time, and a ratio is wanted here; write it like '99.9%'"),
        ("lots", "`lots` is not a ratio; write it like '99.9%'"),
    ]);
    refuses::<MoneyRate>(&[
        (
            "$500",
            "`$500` is an amount of money, and an amount of money in a length of time is wanted here; write it like '$500/month'",
        ),
        ("500/month", "`500/month` is not an amount of money in a length of time; write it like '$500/month'"),
        ("$1,000/month", "`$1,000/month` is not an amount of money in a length of time; write it like '$500/month'"),
    ]);
    refuses::<Bytes>(&[(
        "2 cores",
        "`2 cores` is a number of cores, and an amount of memory is wanted here; write it like '4GiB'",
    )]);
    assert_eq!(Delta::<Ratio>::read("5%").unwrap_err().to_string(), "`5%` has no sign, and a change is wanted here");
}

#[test]
fn money_in_different_periods_compares_exactly_and_in_different_currencies_not_at_all() {
    let rate = |text: &str| MoneyRate::read(text).unwrap();
    assert_eq!(rate("$0.0416/h").micros_per_month(), 30_368_000);
    assert!(rate("$1/h") == rate("$730/month") && rate("$1/h") < rate("$8761/year") && rate("$24/day") == rate("$1/h"));
    assert!(rate("$1/h").partial_cmp(&rate("€1/h")).is_none());
    assert_eq!(rate("$1/day").micros_per_month(), 30_416_667);
    let budget = Bound::<MoneyRate>::read("$500/month", Comparator::AtMost).unwrap();
    assert!(budget.admits(rate("$500/month")) && !budget.admits(rate("$0.69/h")) && !budget.admits(rate("€1/h")));
    assert_eq!(Currency::of("usd"), None);
}

#[test]
fn a_value_of_a_document_is_read_with_its_place() {
    let node =
        read("web.yaml", b"latency: '100%'\nratio: 0.999\nok: '<100ms'\nlist: [1]\n", &Limits::default()).unwrap();
    let problems = Problems::new();
    assert_eq!(bound::<Span>(node.get("latency").unwrap(), Comparator::AtMost, &problems), None);
    assert_eq!(bound::<Span>(node.get("list").unwrap(), Comparator::AtMost, &problems), None);
    assert_eq!(
        bound::<Ratio>(node.get("ratio").unwrap(), Comparator::AtLeast, &problems).unwrap().value,
        Ratio(999_000_000)
    );
    assert!(bound::<Span>(node.get("ok").unwrap(), Comparator::AtMost, &problems).unwrap().admits(Span(99_999_999)));
    let told: Vec<String> = problems.into_sorted().iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "web.yaml:1:10: `100%` is a ratio, and a length of time is wanted here; write it like '100ms'",
            "web.yaml:4:7: `a list` is not a length of time; write it like '100ms'",
        ]
    );
}

fn same<Q: Quantity + std::fmt::Debug>(value: Q) -> Result<(), TestCaseError> {
    let printed = value.to_string();
    let back = Q::read_signed(&printed).map_err(|error| TestCaseError::fail(format!("{printed}: {error}")))?;
    prop_assert_eq!(back.to_string(), printed);
    prop_assert!(back == value);
    let delta = Delta(value).to_string();
    prop_assert!(Delta::<Q>::read(&delta).is_ok_and(|back| back.0 == value), "{}", delta);
    Ok(())
}

proptest! {
    #[test]
    fn reading_what_was_printed_gives_the_same_value(n in -(1_i64 << 53) + 1..1 << 53, small in -100_000_i64..100_000, period in 0_usize..4) {
        for n in [n, small, small * 1_000_000, small * 1_000] {
            same(Ratio(n))?;
            same(Span(n))?;
            same(Rate(n))?;
            same(Bytes(n))?;
            same(Cores(n))?;
            same(Count(n))?;
            for code in ["USD", "EUR", "CHF"] {
                let money = Money { currency: Currency::of(code).unwrap(), micros: n };
                same(money)?;
                same(MoneyRate { money, per: [Period::Hour, Period::Day, Period::Month, Period::Year][period] })?;
            }
        }
    }

    #[test]
    fn no_text_brings_the_readers_down(text in "[-+<>=$€£0-9.%a-zA-Z/ ]{0,24}|\\PC{0,24}") {
        let _ = Bound::<Ratio>::read(&text, Comparator::AtLeast);
        let _ = Bound::<Span>::read(&text, Comparator::AtLeast);
        let _ = Bound::<MoneyRate>::read(&text, Comparator::AtLeast);
        let _ = Delta::<Bytes>::read(&text);
        let _ = Delta::<Cores>::read(&text);
        let _ = Delta::<Rate>::read(&text);
    }
}
