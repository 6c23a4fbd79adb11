//! The HTML report in a real browser: what it shows, filters and links, by keyboard and on a phone.
//!
//! `WHEELTAP_SCREENSHOTS=DIR` keeps pictures of it, to be looked at.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use wheeltap_reports::Run;
use wheeltap_reports::html::{HtmlOptions, render};

use crate::devtools::Browser;
use crate::fixture::{BIOS, Fixture, UEFI};
use crate::html::{earlier, many, telling};

/// Writes the report into the run directory, and returns its path.
fn report(run: &Fixture, baseline: Option<&Run>) -> PathBuf {
    let run = run.load();
    let file = run.dir.join("report.html");
    fs::write(&file, render(&run, &HtmlOptions { baseline, place: Some(&run.dir) })).unwrap();
    file
}

#[test]
fn the_report_in_a_browser() {
    let Some(mut browser) = Browser::start() else { return };
    let (run, then) = (telling(), earlier());
    let file = report(&run, Some(&then.load()));
    browser.open(&file);
    browser.resize(1280, 1600, false);

    links_lead_somewhere(&mut browser, &file);
    the_keyboard_is_enough(&mut browser);
    filters_show_what_they_should(&mut browser);
    what_is_linked_to_opens(&mut browser);
    for scheme in ["light", "dark"] {
        browser.prefer(scheme);
        everything_can_be_read(&mut browser, scheme);
        picture(&mut browser, scheme);
    }
    the_theme_can_be_switched(&mut browser);
    for width in [360, 768] {
        browser.resize(width, 800, width == 360);
        nothing_sticks_out(&mut browser);
        picture(&mut browser, &format!("{width}"));
    }
    nothing_went_wrong(&browser, &file);

    let many = many();
    let file = report(&many, None);
    browser.open(&file);
    browser.resize(1280, 1600, false);
    let paint =
        "new Promise(done => new PerformanceObserver(list => done(list.getEntries()[0].startTime))
        .observe({ type: 'paint', buffered: true }))";
    let paint = browser.eval(paint);
    println!(
        "2,000 cases: {} bytes, first paint after {paint} ms",
        fs::metadata(&file).unwrap().len()
    );
    assert_eq!(shown(&mut browser), "2000 of 2000 cases shown");
    picture(&mut browser, "many");
    links_lead_somewhere(&mut browser, &file);
    browser.resize(360, 800, true);
    nothing_sticks_out(&mut browser);
    nothing_went_wrong(&browser, &file);
}

/// Without the script the verdict and the failures are there, and nothing that needs it.
#[test]
fn the_report_without_scripts() {
    let Some(mut browser) = Browser::start() else { return };
    let run = telling();
    let file = report(&run, None);
    let page = fs::read_to_string(&file).unwrap();
    // Its own policy forbids a script that was changed.
    fs::write(&file, page.replace("'use strict';", "'use strict' ;")).unwrap();
    browser.open(&file);
    let hidden = "['#filters', '#theme', '.copy'].every(it => !document.querySelector(it).checkVisibility())";
    assert_eq!(browser.eval(hidden), true);
    let text = browser.eval("document.body.innerText");
    for part in ["Product failure", "docker.service failed: exit 1", "Kernel panic", "boot.units"] {
        assert!(text.as_str().unwrap().contains(part), "{part}");
    }
    // That was noticed, so it would also be if it happened to the report as it is.
    assert!(!complaints(&browser).is_empty());
}

/// What the browser complains about, on its console or in its log.
fn complaints(browser: &Browser) -> Vec<&Value> {
    const BAD: [&str; 3] =
        ["Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"];
    let is_bad = |event: &&Value| BAD.iter().any(|method| event["method"] == *method);
    browser.events.iter().filter(is_bad).collect()
}

fn nothing_went_wrong(browser: &Browser, file: &Path) {
    assert_eq!(complaints(browser), Vec::<&Value>::new());
    let requests =
        browser.events.iter().filter(|event| event["method"] == "Network.requestWillBeSent");
    let mut urls: Vec<_> = requests
        .map(|event| event["params"]["request"]["url"].as_str().unwrap().to_owned())
        .collect();
    // Pictures that it brings with itself.
    urls.retain(|url| !url.starts_with("data:image/png;base64,"));
    assert_eq!(urls, [format!("file://{}", file.display())]);
}

fn links_lead_somewhere(browser: &mut Browser, file: &Path) {
    let links =
        browser.eval("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))");
    let links = links.as_array().unwrap();
    assert!(links.len() > 20, "{links:?}");
    let broken = browser.eval(
        "[...document.querySelectorAll('a[href^=\"#\"]')].map(a => a.getAttribute('href').slice(1))
            .filter(id => !document.getElementById(id))",
    );
    assert_eq!(broken, json!([]));
    for link in
        links.iter().map(|link| link.as_str().unwrap()).filter(|link| !link.starts_with('#'))
    {
        assert!(file.with_file_name(link).exists(), "{link}");
    }
}

fn shown(browser: &mut Browser) -> String {
    browser.eval("document.querySelector('#shown').textContent").as_str().unwrap().to_owned()
}

/// The cases whose details are shown, by verdict, scenario and cell.
fn cases(browser: &mut Browser) -> Vec<String> {
    let names = browser.eval(
        "[...document.querySelectorAll('.case')].filter(it => it.checkVisibility())
            .map(it => it.dataset.verdict + ' ' + it.querySelector('.name').textContent)",
    );
    names.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn the_keyboard_is_enough(browser: &mut Browser) {
    let mut reached = Vec::new();
    for _ in 0..60 {
        browser.press("Tab");
        let what = browser.eval(
            "(() => {
                const it = document.activeElement, style = getComputedStyle(it);
                const seen = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2;
                return [it.id || it.getAttribute('name') || it.getAttribute('class') || it.tagName, it === document.body || seen];
            })()",
        );
        let name = what[0].as_str().unwrap().to_owned();
        assert_eq!(what[1], true, "the focus on {name} can't be seen");
        reached.push(name);
    }
    for wanted in ["theme", "verdict", "search", "cell", "cause", "SUMMARY", "scroll"] {
        assert!(reached.iter().any(|name| name == wanted), "{wanted}: {reached:?}");
    }
    // A verdict is switched off, and on again, by the space bar.
    browser.eval("document.querySelector('input[value=fail]').focus()");
    let before = cases(browser);
    browser.press(" ");
    let after = cases(browser);
    assert!(before.iter().any(|case| case.starts_with("fail")), "{before:?}");
    assert!(!after.is_empty() && after.iter().all(|case| !case.starts_with("fail")), "{after:?}");
    browser.press(" ");
    assert_eq!(cases(browser), before);
    // A slash goes to the search, and Escape undoes it.
    browser.eval("document.activeElement.blur()");
    browser.press("/");
    browser.call("Input.insertText", &json!({ "text": "PANIC" }));
    assert_eq!(cases(browser), [format!("fail boot.multi-user {UEFI}")]);
    browser.press("Escape");
    assert_eq!(cases(browser), before);
    // A case is opened by Enter.
    browser.eval("document.querySelector('.case summary').focus()");
    browser.press("Enter");
    assert_eq!(browser.eval("document.querySelector('.case').open"), true);
    browser.press("Enter");
    assert_eq!(browser.eval("document.querySelector('.case').open"), false);
}

fn filters_show_what_they_should(browser: &mut Browser) {
    let choose = |browser: &mut Browser, filter: &str, value: &str| {
        browser.eval(&format!(
            "(() => {{
                const it = document.querySelector('{filter}');
                it.value = '{value}';
                it.dispatchEvent(new Event('input', {{ bubbles: true }}));
            }})()"
        ));
    };
    assert_eq!(shown(browser), "14 of 14 cases shown");
    choose(browser, "#cell", BIOS);
    assert_eq!(shown(browser), "7 of 14 cases shown");
    assert_eq!(
        cases(browser),
        [format!("fail boot.units {BIOS}"), format!("fail ignition.files {BIOS}")]
    );
    choose(browser, "#search", "Units");
    assert_eq!(shown(browser), "1 of 14 cases shown");
    let rows = "[...document.querySelectorAll('.matrix tbody tr')].filter(it => it.checkVisibility()).length";
    assert_eq!(browser.eval(rows), 1);
    choose(browser, "#search", "");
    choose(browser, "#cell", "");
    let cause = browser.eval("[...document.querySelectorAll('.cause')].find(it => it.innerText.includes('Ignition failed')).dataset.signature");
    choose(browser, "#cause", cause.as_str().unwrap());
    assert_eq!(cases(browser), [format!("fail ignition.files {BIOS}")]);
    assert_eq!(shown(browser), "1 of 14 cases shown");
    let causes =
        "[...document.querySelectorAll('.cause')].filter(it => it.checkVisibility()).length";
    assert_eq!(browser.eval(causes), 1);
    // What has been asked for comes after the reset, which comes after its event.
    browser.eval("document.querySelector('#filters button').click()");
    browser.eval("new Promise(done => setTimeout(done))");
    assert_eq!(shown(browser), "14 of 14 cases shown");
}

fn what_is_linked_to_opens(browser: &mut Browser) {
    browser.eval("document.querySelector('.matrix a').click()");
    browser.eval("new Promise(done => requestAnimationFrame(done))");
    let open = browser.eval("document.querySelector(location.hash).open");
    assert_eq!(open, true);
    // As a whole, so that a picture shows what one case looks like.
    browser.eval("document.querySelectorAll('.cause .case').forEach(it => it.open = true)");
    browser.eval("document.querySelector('.boot').open = true");
    browser.eval("scrollTo(0, 0)");
}

/// Every text has a contrast of 4.5 at least, WCAG 2.1 AA: <https://www.w3.org/TR/WCAG21/#contrast-minimum>
fn everything_can_be_read(browser: &mut Browser, scheme: &str) {
    let poor = browser.eval(
        "(() => {
            const channels = colour => colour.match(/[\\d.]+/g).map(Number);
            const light = colour => {
                const part = channels(colour).slice(0, 3).map(it => it / 255)
                    .map(it => it <= 0.04045 ? it / 12.92 : ((it + 0.055) / 1.055) ** 2.4);
                return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
            };
            const below = element => {
                for (let it = element; it; it = it.parentElement) {
                    const colour = getComputedStyle(it).backgroundColor;
                    if (channels(colour)[3] !== 0) return colour;
                }
                return 'rgb(255, 0, 255)';
            };
            const poor = [];
            let count = 0;
            for (const it of document.querySelectorAll('body *')) {
                const has = [...it.childNodes].some(node => node.nodeType === 3 && node.data.trim());
                if (!has || !it.checkVisibility() || ['SCRIPT', 'OPTION', 'title'].includes(it.tagName)) continue;
                const style = getComputedStyle(it);
                const colour = it instanceof SVGElement ? style.fill : style.color;
                const [dark, bright] = [light(colour), light(below(it))].sort((a, b) => a - b);
                const contrast = (bright + 0.05) / (dark + 0.05);
                count += 1;
                if (contrast < 4.5) poor.push([it.tagName, it.className, colour, below(it), contrast]);
            }
            return [count, poor, getComputedStyle(document.body).backgroundColor];
        })()",
    );
    assert!(poor[0].as_u64().unwrap() > 300, "{poor}");
    assert_eq!(poor[1], json!([]), "{scheme}");
    let expected = if scheme == "dark" { "rgb(20, 22, 26)" } else { "rgb(247, 247, 245)" };
    assert_eq!(poor[2], expected);
}

fn the_theme_can_be_switched(browser: &mut Browser) {
    let page = "getComputedStyle(document.body).backgroundColor";
    browser.prefer("light");
    let before = browser.eval(page);
    browser.eval("document.querySelector('#theme').focus()");
    browser.press("Enter");
    assert_ne!(browser.eval(page), before);
    browser.press("Enter");
    assert_eq!(browser.eval(page), before);
}

fn nothing_sticks_out(browser: &mut Browser) {
    browser.eval(
        "document.querySelectorAll('details').forEach((it, index) => it.open ||= index < 40)",
    );
    let wide = browser.eval(
        "(() => {
            const width = document.documentElement.clientWidth;
            const scrolled = it => it.closest('.scroll, pre, .skip, svg');
            const wide = [...document.querySelectorAll('body *')]
                .filter(it => it.checkVisibility() && !scrolled(it) && it.getBoundingClientRect().right > width + 0.5)
                .map(it => [it.tagName, it.className, it.getBoundingClientRect().right]);
            return [document.documentElement.scrollWidth - width, wide.slice(0, 5)];
        })()",
    );
    assert_eq!(wide, json!([0, []]));
}

/// For people, who see what no assertion does.
fn picture(browser: &mut Browser, name: &str) {
    let Some(directory) = std::env::var_os("WHEELTAP_SCREENSHOTS") else { return };
    for part in [".banner", "#c9", "#matrix", "#boots", "#run"] {
        browser.eval(&format!("document.querySelector('{part}')?.scrollIntoView()"));
        let file = format!("{name}{}.png", part.replace(['.', '#'], "-"));
        fs::write(Path::new(&directory).join(file), browser.screenshot()).unwrap();
    }
}
