<?php

declare(strict_types=1);

namespace QaBoard;

/** One step of a run. */
final class Step
{
    public function __construct(
        public readonly string $name,
        public readonly int $round, // from 1; 0: the step is not repeated
        public readonly Result $result,
        public readonly string $note,
    ) {
    }
}

/**
 * What a run's own page says. The page is a stranger's HTML: only its text is
 * taken, by cutting at the tags, so that no page costs more than its length.
 */
final class Details
{
    private const MAX_STEPS = 500;

    /**
     * @param array<string, string> $facts
     * @param list<Step> $steps
     */
    private function __construct(public readonly array $facts, public readonly array $steps)
    {
    }

    /** The page is a table around two: what ran, and how each step went. */
    public static function parse(string $html): self
    {
        $tables = explode('<table', $html, 5);
        return new self(self::facts($tables[2] ?? ''), self::steps($tables[3] ?? ''));
    }

    /** @return list<Step> that failed */
    public function failed(): array
    {
        return array_values(array_filter($this->steps, fn (Step $s): bool => $s->result === Result::Failed));
    }

    public function passed(): int
    {
        return count(array_filter($this->steps, fn (Step $s): bool => $s->result === Result::Passed));
    }

    /** @return array<string, string> */
    private static function facts(string $table): array
    {
        $values = self::cells($table, 'td');
        $facts = [];
        foreach (self::cells($table, 'th') as $i => $name) {
            // Long words are broken with <br> anywhere: put them together again.
            $facts[self::text($name, '')] = self::text($values[$i] ?? '', '');
        }
        return $facts;
    }

    /** @return list<Step> */
    private static function steps(string $table): array
    {
        $results = self::cells($table, 'td');
        $steps = [];
        foreach (array_slice(self::cells($table, 'th'), 0, self::MAX_STEPS) as $i => $cell) {
            $name = self::text($cell, '');
            $round = 0;
            if (preg_match('/^(.+)_No_(\d{1,4})$/', $name, $m) === 1) {
                [$name, $round] = [$m[1], (int) $m[2] + 1];
            }
            [$word, $note] = array_pad(explode(' ', self::text($results[$i] ?? '', ' '), 2), 2, '');
            $steps[] = new Step($name, $round, Result::of($word), $note);
        }
        return $steps;
    }

    /** @return list<string> what stands in the cells of one kind */
    private static function cells(string $table, string $tag): array
    {
        $cells = [];
        foreach (array_slice(explode('<' . $tag, $table), 1) as $piece) {
            $end = strpos($piece, '>');
            if ($end !== false && strspn($piece, "> \t\r\n", 0, 1) === 1) { // <th, not <thead
                $cells[] = explode('</' . $tag, substr($piece, $end + 1), 2)[0];
            }
        }
        return $cells;
    }

    private static function text(string $html, string $break): string
    {
        $text = html_entity_decode(strip_tags(str_ireplace('<br>', $break, $html)), ENT_QUOTES | ENT_HTML5, 'UTF-8');
        return trim((string) preg_replace('/\s+/', ' ', $text));
    }
}
