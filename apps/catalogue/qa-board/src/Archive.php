<?php

declare(strict_types=1);

namespace QaBoard;

/** Nothing is there to show. The message is for readers. */
final class NoData extends \RuntimeException
{
}

/** What was asked for is not in the data. The message is for readers. */
final class NotFound extends \RuntimeException
{
}

/**
 * The published days: a folder with a list of runs for each day, a line with
 * the result of each run, and for some a page with its steps.
 *
 * Whoever publishes is not believed: names are checked before they become
 * paths, links are not followed, and every file and list is bounded.
 */
final class Archive
{
    public const MAX_DAYS = 31;
    public const MAX_RUNS = 1000; // of a day
    private const MAX_LIST = 256 << 10; // bytes, as the following
    private const MAX_LINE = 4 << 10;
    private const MAX_PAGE = 256 << 10;

    private const TEST = '[A-Za-z0-9_][A-Za-z0-9_.+-]{0,119}';
    private const UID = '\d{1,12}';

    /** Whether there is more than is shown, as far as it was looked at. */
    public bool $cut = false;

    /** @var array<string, list<array{string, string}>> test and uid by day */
    private array $listed = [];

    /** @param list<string> $days the newest first, and at least one */
    private function __construct(private readonly string $folder, public readonly array $days)
    {
    }

    /**
     * The folder is resolved once: a request that began with one revision of
     * the data ends with it.
     */
    public static function open(string $folder): self
    {
        $real = realpath($folder);
        $names = $real === false ? false : @scandir($real);
        if ($names === false) {
            throw new NoData('There is no data here yet. It is mounted at the folder data of this app.');
        }
        $days = [];
        foreach ($names as $name) {
            if (preg_match('/^this_date_test_list_(\d{4}-\d\d-\d\d)\.lst$/', $name, $m) === 1) {
                $days[] = $m[1];
            }
        }
        if ($days === []) {
            throw new NoData('The data holds no day: no file is named like this_date_test_list_2013-06-20.lst.');
        }
        rsort($days);
        $archive = new self($real, array_slice($days, 0, self::MAX_DAYS));
        $archive->cut = count($days) > self::MAX_DAYS;
        return $archive;
    }

    public function newest(): string
    {
        return $this->days[0];
    }

    public function oldest(): string
    {
        return $this->days[count($this->days) - 1];
    }

    /** @return list<Run> of a day, as they were listed */
    public function runs(string $day): array
    {
        if (!in_array($day, $this->days, true)) {
            throw new NotFound("This data has no such day. Its days are {$this->oldest()} to {$this->newest()}.");
        }
        return array_map(fn (array $id): Run => $this->read($day, ...$id), $this->listed($day));
    }

    /** @return list<Run> of all days, the newest day first */
    public function all(): array
    {
        return array_merge(...array_map($this->runs(...), $this->days));
    }

    /** @return list<Run> of one test, the newest first; at least one */
    public function history(string $test): array
    {
        $runs = [];
        foreach ($this->days as $day) {
            foreach ($this->listed($day) as $id) {
                if ($id[0] === $test) {
                    $runs[] = $this->read($day, ...$id);
                }
            }
        }
        if ($runs === []) {
            throw new NotFound("No test of this name ran from {$this->oldest()} to {$this->newest()}.");
        }
        usort($runs, fn (Run $a, Run $b): int => [$b->day, $b->time, (int) $b->uid] <=> [$a->day, $a->time, (int) $a->uid]);
        return $runs;
    }

    /** A run's page; null when none was published. */
    public function details(Run $run): ?Details
    {
        $html = $this->file("body_{$run->test}_UID_{$run->uid}.cache", self::MAX_PAGE);
        return $html === null ? null : Details::parse($html);
    }

    /** @return array<string, string> what a step does, by its name */
    public function stepInfo(): array
    {
        $info = [];
        foreach (explode("\n", $this->file('test_info/testunit_info.txt', self::MAX_LIST) ?? '') as $line) {
            [$name, $text] = array_pad(explode("\t", $line, 2), 2, '');
            if (trim($text) !== '' && $text[0] !== '[') { // [a description goes here]
                $info[$name] = trim($text);
            }
        }
        return $info;
    }

    /** @return list<array{string, string}> */
    private function listed(string $day): array
    {
        return $this->listed[$day] ??= $this->readList($day);
    }

    /** @return list<array{string, string}> */
    private function readList(string $day): array
    {
        $list = $this->file("this_date_test_list_$day.lst", self::MAX_LIST) ?? '';
        preg_match_all('/^(' . self::TEST . ')[ \t]+(' . self::UID . ')[ \t]*\r?$/m', $list, $lines, PREG_SET_ORDER);
        $this->cut = $this->cut || count($lines) > self::MAX_RUNS;
        $ids = [];
        foreach (array_slice($lines, 0, self::MAX_RUNS) as [, $test, $uid]) {
            $ids["$test $uid"] = [$test, $uid];
        }
        return array_values($ids);
    }

    private function read(string $day, string $test, string $uid): Run
    {
        return Run::read($day, $test, $uid, $this->file("open_qa_{$test}_UID_{$uid}.cache", self::MAX_LINE));
    }

    /** A file of the data; null when there is none, or none that could be ours. */
    private function file(string $name, int $most): ?string
    {
        $path = $this->folder . '/' . $name;
        if (is_link($path) || !is_file($path) || filesize($path) > $most) {
            return null;
        }
        $text = @file_get_contents($path, false, null, 0, $most);
        return $text === false ? null : $text;
    }
}
