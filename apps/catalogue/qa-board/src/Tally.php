<?php

declare(strict_types=1);

namespace QaBoard;

/** Counts runs by result. */
final class Tally
{
    public int $total = 0;
    /** @var array<string, int> by Result's value */
    private array $counts = [];

    /** @param iterable<Run> $runs */
    public static function of(iterable $runs): self
    {
        $tally = new self();
        foreach ($runs as $run) {
            $tally->total++;
            $tally->counts[$run->result->value] = $tally->count($run->result) + 1;
        }
        return $tally;
    }

    public function count(Result $result): int
    {
        return $this->counts[$result->value] ?? 0;
    }

    /** The runs that neither passed nor failed. */
    public function other(): int
    {
        return $this->total - $this->count(Result::Passed) - $this->count(Result::Failed);
    }

    /** How much of what ran passed, in words. */
    public function share(): string
    {
        return $this->total === 0 ? 'nothing ran' : round(100 * $this->count(Result::Passed) / $this->total) . ' % passed';
    }

    /** Like "3 passed, 2 failed". */
    public function words(): string
    {
        $words = [];
        foreach (Result::cases() as $result) {
            if ($this->count($result) > 0) {
                $words[] = $this->count($result) . ' ' . $result->words();
            }
        }
        return $words === [] ? 'no runs' : implode(', ', $words);
    }
}
