// SPDX-License-Identifier: Apache-2.0
#include "targetcli-config/ballastctl/drill/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "lib/base/values.h"
#include "targetcli-config/ballastctl/text/output.h"

namespace ballast::ctl::drill {
namespace {

std::string length(Nanoseconds time) {
  return duration_text(static_cast<std::uint64_t>(time.count()));
}

std::string sentence(const std::string& subject, const std::vector<std::string>& troubles,
                     const std::string& rest) {
  if (troubles.empty()) {
    return fmt::format("{}: outlived it{}\n", printable(subject), rest);
  }
  return fmt::format("{}: did NOT outlive it: {}{}\n", printable(subject),
                     printable(fmt::format("{}", fmt::join(troubles, "; "))), rest);
}

std::string text_of(const Witness& witness) {
  const std::string about = witness.about.empty() ? "" : fmt::format(" ({})", witness.about);
  std::string rest;
  if (witness.longest && witness.longest->count() == 0 && witness.busy == 0) {
    rest = "; it was asked for nothing";
  } else if (witness.longest) {
    rest = fmt::format("; longest answer {}", length(*witness.longest));
  }
  if (witness.busy > 0) {
    rest += fmt::format("; {} commands were answered BUSY, to be sent again", witness.busy);
  }
  return sentence(witness.kind + " " + witness.name + about, witness.troubles, rest);
}

std::string list_of(const char* title, const std::vector<std::string>& lines) {
  std::string text = lines.empty() ? "" : fmt::format("{}\n", title);
  for (const std::string& line : lines) {
    text += fmt::format("  {}\n", printable(line));
  }
  return text;
}

}  // namespace

bool Verdict::outlived() const {
  return !is_interrupted && load_troubles().empty() &&
         std::ranges::all_of(witnesses, [](const Witness& each) { return each.troubles.empty(); });
}

std::vector<std::string> Verdict::load_troubles() const {
  std::vector<std::string> all;
  if (load.errors > 0) {
    all.push_back(fmt::format("{} reads and writes failed, the first with \"{}\"", load.errors,
                              std::strerror(load.first_error)));
  }
  if (load.wrong_blocks > 0) {
    all.push_back(fmt::format("{} blocks were read with another content than was written last",
                              load.wrong_blocks));
  }
  if (behind > 0) {
    all.push_back(fmt::format("{} of its processes still waited a minute after the thaw", behind));
  }
  return all;
}

std::string as_text(const Verdict& verdict) {
  std::string text =
      sentence("the program that wrote to the frozen LUN", verdict.load_troubles(),
               fmt::format("; {} writes and {} reads, the longest of which took {}",
                           verdict.load.writes, verdict.load.reads, length(verdict.load.longest)));
  for (const Witness& witness : verdict.witnesses) {
    text += text_of(witness);
  }
  text += list_of("The kernel said meanwhile:", verdict.kernel);
  for (const std::string& note : verdict.notes) {
    text += fmt::format("note: {}\n", printable(note));
  }
  text += list_of("Not removed; ballastctl drill --clean-up tries again:", verdict.left);
  const std::string frozen = length(verdict.frozen_for);
  if (verdict.is_interrupted) {
    return text + fmt::format("The drill was interrupted, after a freeze of {}.\n", frozen);
  }
  return text + (verdict.outlived()
                     ? fmt::format("ok: all have outlived a freeze of {}\n", frozen)
                     : fmt::format("Not all have outlived a freeze of {}: ballastctl doctor says "
                                   "what to change.\n",
                                   frozen));
}

nlohmann::ordered_json as_json(const Verdict& verdict) {
  nlohmann::ordered_json seen = nlohmann::ordered_json::array();
  for (const Witness& witness : verdict.witnesses) {
    seen.push_back(
        {{"kind", witness.kind},
         {"name", witness.name},
         {"about", witness.about},
         {"outlived", witness.troubles.empty()},
         {"longest_ns", witness.longest ? nlohmann::ordered_json(witness.longest->count())
                                        : nlohmann::ordered_json{}},
         {"busy", witness.busy},
         {"troubles", witness.troubles}});
  }
  return {{"version", 1},
          {"report", "drill"},
          {"ok", verdict.outlived()},
          {"interrupted", verdict.is_interrupted},
          {"freeze_ns", verdict.freeze.count()},
          {"frozen_for_ns", verdict.frozen_for.count()},
          {"size_bytes", verdict.size.value()},
          {"load",
           {{"outlived", verdict.load_troubles().empty()},
            {"writes", verdict.load.writes},
            {"reads", verdict.load.reads},
            {"errors", verdict.load.errors},
            {"wrong_blocks", verdict.load.wrong_blocks},
            {"longest_ns", verdict.load.longest.count()},
            {"troubles", verdict.load_troubles()}}},
          {"seen", std::move(seen)},
          {"kernel", verdict.kernel},
          {"notes", verdict.notes},
          {"left", verdict.left}};
}

}  // namespace ballast::ctl::drill
