use std::io::Write;

use wheeltap_platforms::wait_for;

use super::*;

const PANIC: &str = "[   31.0] Kernel panic - not syncing: sysrq triggered crash\r\n";
const LONG: Duration = Duration::from_secs(3600);

struct Console {
    dir: tempfile::TempDir,
    interrupter: Interrupter,
}

impl Console {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), interrupter: Interrupter::new() }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("console.log")
    }

    fn write(&self, text: &str) {
        let mut options = File::options();
        let mut file = options.create(true).append(true).open(self.path()).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn watch(&self) -> ConsoleWatch {
        ConsoleWatch::start(self.path(), &Rules::builtin(), self.interrupter.clone())
    }

    /// Waits as a scenario would; gives what ended the wait, and after how long.
    async fn interrupted(&self) -> (String, Duration) {
        let start = Instant::now();
        let interrupt = self.interrupter.listen();
        let wait = wait_for("SSH after boot", LONG, &interrupt, std::future::pending::<()>());
        (wait.await.unwrap_err().to_string(), start.elapsed())
    }
}

// Time is tokio's own and jumps to the next timer, so these tests neither take long nor depend on the machine's load.
#[tokio::test(start_paused = true)]
async fn a_fatal_line_ends_a_wait_within_two_seconds() {
    let console = Console::new();
    let watch = console.watch();
    console.write("booting\r\n");
    tokio::time::sleep(Duration::from_secs(5)).await;
    console.write(PANIC);
    let (error, after) = console.interrupted().await;
    assert_eq!(error, "kernel panic: sysrq triggered crash (while waiting for SSH after boot)");
    assert!(after < Duration::from_secs(2), "{after:?}");
    assert_eq!(watch.hits_since(0)[0].line.number, 2);
}

#[tokio::test(start_paused = true)]
async fn a_console_that_goes_on_talking_holds_nothing_back() {
    let console = Console::new();
    let _watch = console.watch();
    console.write("systemd[1]: ignition-files.service: Main process exited, code=exited, status=1/FAILURE\r\n");
    let talking = async {
        loop {
            console.write("audit: something\r\n");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let (error, after) = tokio::select! {
        ended = console.interrupted() => ended,
        () = talking => unreachable!("it talks for ever"),
    };
    assert!(
        error.starts_with("Ignition failed: ignition-files.service: Main process exited"),
        "{error}"
    );
    assert!(after < Duration::from_secs(2), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_cause_that_comes_a_moment_later_becomes_the_headline() {
    let console = Console::new();
    let _watch = console.watch();
    console.write("Ignition has failed. Please ensure your config is valid.\r\n");
    let cause = async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        console.write("error at $.storage.files.0.path, line 3 col 9: path not absolute\r\nIgnition failed: config is not valid\r\n");
        std::future::pending::<()>().await;
    };
    let (error, _) = tokio::select! {
        ended = console.interrupted() => ended,
        () = cause => unreachable!("it never ends"),
    };
    assert!(
        error.starts_with(
            "Ignition failed: config $.storage.files.0.path, line 3 col 9: path not absolute"
        ),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_prompt_without_a_line_break_ends_a_wait() {
    let console = Console::new();
    let _watch = console.watch();
    console.write("Press Enter for emergency shell or wait 5 minutes for reboot.");
    let (error, _) = console.interrupted().await;
    assert!(error.starts_with("emergency shell: "), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_expectation_lasts_until_it_is_dropped() {
    let console = Console::new();
    let watch = console.watch();
    let expectation = watch.expect(&["kernel-panic"]).unwrap();
    assert_eq!(expectation.unmet(), ["kernel-panic".into()]);
    let mark = watch.mark();
    console.write(PANIC);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(console.interrupter.listen().current(), None);
    assert_eq!(expectation.unmet(), [""; 0].map(Arc::from));
    assert!(watch.hits_since(mark)[0].expected);
    drop(expectation);
    let mark = watch.mark();
    console.write(PANIC);
    watch.drain().unwrap();
    assert_eq!(watch.fatal_headline(mark).as_deref(), Some("kernel panic: sysrq triggered crash"));
    assert!(console.interrupter.listen().current().is_some());
}

#[tokio::test(start_paused = true)]
async fn files_may_be_missing_cut_off_or_replaced() {
    let console = Console::new();
    let watch = console.watch();
    watch.drain().unwrap();
    console.write(&"a\r\n".repeat(100));
    watch.drain().unwrap();
    File::create(console.path()).unwrap();
    console.write(PANIC);
    watch.drain().unwrap();
    assert_eq!(watch.hits_since(0)[0].line.number, 1);

    let other = console.dir.path().join("new.log");
    std::fs::write(&other, format!("{}{PANIC}", "x\r\n".repeat(100))).unwrap();
    std::fs::rename(&other, console.path()).unwrap();
    watch.drain().unwrap();
    assert_eq!(watch.hits_since(1)[0].line.number, 101);
    std::fs::remove_file(console.path()).unwrap();
    watch.drain().unwrap();
    assert_eq!(&*watch.tail(1)[0].text, PANIC.trim_end());
}

#[tokio::test(start_paused = true)]
async fn stopping_reads_the_rest() {
    let console = Console::new();
    let watch = console.watch();
    watch.new_boot().unwrap();
    console.write(&format!("x\n{}", PANIC.trim_end()));
    let hits = watch.stop();
    assert_eq!((hits[0].line.number, hits[0].line.boot), (2, 2));
}
