// SPDX-License-Identifier: Apache-2.0
// The output of ballastctl: numbers with units, errors, and JSON. Tables are in table.h.
//
// The text functions are pure; fail(), finish_output() and print_json() use the process's streams.
// Single-threaded.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/result.h"
#include "targetcli-config/ballastctl/cli_fwd.h"

namespace ballast::ctl {

enum ExitCode : int {
  exit_ok = 0,
  exit_failed = 1,
  exit_usage = 2,
  exit_check_unknown = 3,  // of `check`, whose codes are those of a monitoring plugin
};

// Prints "ballastctl: <message>" on standard error and ends the run with exit_failed: it throws
// CLI::RuntimeError, which main() catches. `message`: one sentence without a newline, which says
// what to do.
[[noreturn]] void fail(std::string_view message);

// What `result` has; its error ends in fail().
template <class T>
T or_fail(Result<T> result) {
  if (!result.ok()) {
    fail(result.error().message);
  }
  return std::move(result).value();
}

// Flushes standard output. Returns false, and prints a line on standard error, if not all of it
// could be written.
bool finish_output();

// Adds --json, in the same words for all subcommands. `wanted` must live as long as the App.
void add_json_flag(CLI::App& command, bool& wanted);

// Prints a document, in the layout that all subcommands have. Members keep their order.
void print_json(const nlohmann::ordered_json& document);

// "512 B", "4 KiB", "1.5 GiB": the largest unit of which there is at least 1, with at most one
// decimal place.
std::string bytes_text(std::uint64_t bytes);

// "0 s", "850 ns", "73 us", "4.2 ms", "1.3 s", "2 min 5 s", "3 h 12 min", "4 d 6 h".
std::string duration_text(std::uint64_t nanoseconds);

// Makes text safe for a terminal: characters that cannot be printed, and bytes that are not UTF-8,
// become \xNN.
std::string printable(std::string_view text);

}  // namespace ballast::ctl
