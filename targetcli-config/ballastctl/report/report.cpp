// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/report/report.h"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cstdio>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>

#include "targetcli-config/ballastctl/commands.h"
#include "targetcli-config/ballastctl/report/secrets.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

// tcmu-runner may take 15 s to answer.
constexpr Nanoseconds patience = std::chrono::seconds{20};
constexpr std::size_t largest_part = 16 << 20;  // bytes
constexpr const char* left_out =
    "CHAP names and passwords, all authentication attributes, lines of logs about them, and all "
    "data of the LUNs";

struct Options {
  std::string output, part;
  bool json = false;
};

// "ballast-report-gateway-1-20261129-014500"
std::string usual_name() {
  std::array<char, 65> host{};
  (void)::gethostname(host.data(), host.size() - 1);
  const std::time_t now = std::time(nullptr);
  std::tm broken{};
  ::localtime_r(&now, &broken);
  return fmt::format("ballast-report-{}-{:%Y%m%d-%H%M%S}", host.data(), broken);
}

// Without knowing them there is no bundle.
std::vector<std::string> passwords() {
  const report::Output found = report::run_bounded({"ballastctl", "report", "--part", "passwords"},
                                                   patience, largest_part, false);
  const auto all = nlohmann::json::parse(found.text, nullptr, false);
  if (!found.problem.empty() || !all.is_array()) {
    fail(
        fmt::format("the passwords that a report must not have cannot be read from configfs: {}; "
                    "try again when the storage answers",
                    found.problem.empty() ? "no list" : found.problem));
  }
  return all.get<std::vector<std::string>>();
}

void must(const Result<void>& result) {
  if (!result.ok()) {
    fail(result.error().message);
  }
}

void make(const Options& options) {
  const std::string name = usual_name();
  const std::string path = options.output.empty() ? name + ".tar.gz" : options.output;
  const std::vector<std::string> secret = passwords();
  report::Bundle bundle = or_fail(report::Bundle::create(path, name));
  std::string manifest;
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const report::Part& part : report::parts()) {
    report::Output output = report::run_bounded(part.program, patience, largest_part, part.is_log);
    report::blot_out(secret, output.text);
    report::blot_out(secret, output.problem);
    std::string notes = output.problem;
    if (part.is_log) {
      if (const std::size_t lines = report::remove_lines_about_secrets(output.text); lines > 0) {
        notes += fmt::format("{}{} lines about secrets removed", notes.empty() ? "" : "; ", lines);
      }
    }
    manifest += fmt::format("{:<16} {:>10}{}{}\n", part.name, bytes_text(output.text.size()),
                            notes.empty() ? "" : "  ", notes);
    all.push_back(
        {{"part", part.name},
         {"size_bytes", output.text.size()},
         {"note", notes.empty() ? nlohmann::ordered_json{} : nlohmann::ordered_json(notes)}});
    if (!output.text.empty()) {
      must(bundle.add(part.name, output.text));
    }
  }
  manifest += fmt::format("Left out: {}.\n", left_out);
  must(bundle.add("MANIFEST", manifest));
  must(bundle.finish());
  if (options.json) {
    print_json({{"version", 1},
                {"report", "report"},
                {"file", path},
                {"parts", all},
                {"left_out", left_out}});
  } else {
    fmt::print("{}\n{}Read it before you send it.\n", printable(path), manifest);
  }
}

}  // namespace

void add_report(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "report",
      "write a bundle for who helps you: state, configuration without secrets, logs; no data");
  const auto options = std::make_shared<Options>();
  command
      ->add_option("-o,--output", options->output,
                   "the file, which must not be there; without it, a new one in this folder")
      ->type_name("FILE");
  add_json_flag(*command, options->json);
  command->add_option("--part", options->part)
      ->group("")  // not for people
      ->check(CLI::IsMember(report::own_parts()));
  command->callback([options] {
    if (options->part.empty()) {
      make(*options);
    } else {
      const Files files = Files::of_this_machine();
      std::fputs(or_fail(report::own_part(files, options->part)).c_str(), stdout);
    }
  });
}

}  // namespace ballast::ctl
