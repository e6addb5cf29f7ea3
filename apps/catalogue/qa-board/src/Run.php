<?php

declare(strict_types=1);

namespace QaBoard;

/** One run of a test. What was not published is empty. */
final class Run
{
    private const LINE = '/^\[(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d)\] TESTNAME (\S+) UID (\d+) SEQUENCE (\S+) OS (.+?) GIT_HASH (\S+) TEST_STAGE (\S+)\s*$/';

    private function __construct(
        public readonly string $day,
        public readonly string $test,
        public readonly string $uid,
        public readonly Result $result,
        public readonly string $time = '',
        public readonly string $sequence = '',
        public readonly string $system = '',
        public readonly string $commit = '',
    ) {
    }

    /** Reads the line a run's result is published as; null when there is none. */
    public static function read(string $day, string $test, string $uid, ?string $line): self
    {
        if ($line === null || preg_match(self::LINE, trim($line), $m) !== 1) {
            return new self($day, $test, $uid, Result::None);
        }
        return new self($day, $test, $uid, Result::of($m[8]), $m[2], $m[5], $m[6], $m[7]);
    }

    /** A commit by its first ten digits; a branch by its whole name. */
    public function shortCommit(): string
    {
        return preg_match('/^[0-9a-f]{11,}$/', $this->commit) === 1 ? substr($this->commit, 0, 10) : $this->commit;
    }

    public function link(): string
    {
        return 'run.php?' . http_build_query(['test' => $this->test, 'uid' => $this->uid]);
    }

    public function testLink(): string
    {
        return 'test.php?' . http_build_query(['name' => $this->test]);
    }
}
