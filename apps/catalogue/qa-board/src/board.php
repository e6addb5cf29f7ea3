<?php

/**
 * What every page of the board begins with. A page makes its whole body before
 * the first byte is sent, so that an answer is either complete or an error, and
 * a warning of PHP's is an error.
 */

declare(strict_types=1);

namespace QaBoard;

require __DIR__ . '/Result.php';
require __DIR__ . '/Run.php';
require __DIR__ . '/Tally.php';
require __DIR__ . '/Details.php';
require __DIR__ . '/Archive.php';
require __DIR__ . '/Chart.php';
require __DIR__ . '/parts.php';

const MEMORY = '64M';
const SECONDS = 10;

/**
 * Answers the request with what $page makes: its title and its body.
 *
 * @param callable(Archive): array{string, string} $page
 */
function answer(callable $page): void
{
    error_reporting(E_ALL);
    ini_set('display_errors', '0'); // the log has them, readers do not
    ini_set('memory_limit', MEMORY);
    set_time_limit(SECONDS);
    set_error_handler(function (int $level, string $message, string $file, int $line): bool {
        if ((error_reporting() & $level) === 0) {
            return false; // silenced where the failure is handled
        }
        throw new \ErrorException($message, 0, $level, $file, $line);
    });
    try {
        if (!in_array($_SERVER['REQUEST_METHOD'] ?? 'GET', ['GET', 'HEAD'], true)) {
            header('Allow: GET, HEAD');
            send(405, 'Not allowed', problem('This board is only read', 'It answers GET and HEAD, nothing else.'));
            return;
        }
        $archive = Archive::open(__DIR__ . '/../data');
        [$title, $body] = $page($archive);
        send(200, $title, $body, $archive);
    } catch (NotFound $e) {
        send(404, 'Not found', problem('Not found', $e->getMessage()), $archive ?? null);
    } catch (NoData $e) {
        header('Retry-After: 30');
        send(503, 'No data', problem('Nothing to show yet', $e->getMessage()));
    } catch (\Throwable $e) {
        error_log('qa-board: ' . $e);
        send(500, 'Something broke', problem('Something broke', 'The log of this machine says what. Try again, or another page.'));
    }
}

/** Sends a whole page. The footer's first words are what the health check waits for. */
function send(int $status, string $title, string $body, ?Archive $archive = null): void
{
    http_response_code($status);
    header('Content-Type: text/html; charset=utf-8');
    header("Content-Security-Policy: default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'");
    header('X-Content-Type-Options: nosniff');
    header('Referrer-Policy: same-origin');
    header('Cache-Control: no-cache');
    echo layout($title, $body, $archive);
}

/** A query parameter; empty when it is missing or not one string. */
function asked(string $name): string
{
    $value = $_GET[$name] ?? '';
    return is_string($value) ? $value : '';
}
