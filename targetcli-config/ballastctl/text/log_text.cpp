// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/text/log_text.h"

#include <fmt/format.h>

#include <cstdint>

#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl {
namespace {

using nlohmann::json;

std::uint64_t number(const json& object, const char* member) {
  return object.at(member).get<std::uint64_t>();
}

}  // namespace

std::string waiting_text(const json& log) {
  if (log.at("oldest_ns").is_null()) {
    return "the store has everything";
  }
  std::string text = fmt::format("{} in {} blocks wait for the store, the oldest for {}",
                                 bytes_text(number(log, "used_bytes")), number(log, "blocks"),
                                 duration_text(number(log, "oldest_ns")));
  if (const json& speed = log.at("store_bytes_per_s"); speed.is_number()) {
    text += fmt::format("; it takes {} a second", bytes_text(speed.get<std::uint64_t>()));
  }
  return text;
}

std::string status_text(const json& lun) {
  const std::string name = printable(lun.at("name").get<std::string>());
  const json& log = lun.at("log");
  const auto state = log.at("state").get<std::string>();
  const std::string device = printable(log.at("device").get<std::string>());
  std::string text = fmt::format("{}: open, with the write log {}: {}\n", name, device, state);
  if (state == "let go") {
    text += "  its store needs no log; changes go there directly\n";
    return text;
  }
  if (state == "failing" || state == "retired") {
    text += "  its disk failed: the store gets what it has, and then works without it\n";
  } else if (state == "damaged") {
    text += "  what it has cannot be read; changes fail\n";
  }
  text += fmt::format("  {}\n", waiting_text(log));
  text += fmt::format("  {} of {} used; epoch {}\n", bytes_text(number(log, "used_bytes")),
                      bytes_text(number(log, "size_bytes")), number(log, "epoch"));
  return text;
}

}  // namespace ballast::ctl
