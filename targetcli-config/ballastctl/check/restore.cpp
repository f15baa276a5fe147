// SPDX-License-Identifier: Apache-2.0
// Compares what is saved with what is there (check.h).
#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "targetcli-config/ballastctl/check/check.h"

namespace ballast::ctl::check {
namespace {

struct Differences {
  std::map<std::string, std::string> backstores;
  std::set<PortalLun> luns;  // of other backstores
  std::set<Export> mapped;   // of other LUNs
  std::set<Portal> portals;  // of portal groups that both have
};

// What `one` has and `other` has not. What goes with a backstore or LUN that is named is not named.
Differences missing(const Inventory& one, const Inventory& other) {
  Differences differences;
  for (const auto& backstore : one.backstores) {
    if (!other.backstores.contains(backstore.first)) {
      differences.backstores.insert(backstore);
    }
  }
  for (const PortalLun& lun : one.luns) {
    if (!other.luns.contains(lun) && !differences.backstores.contains(lun.backstore)) {
      differences.luns.insert(lun);
    }
  }
  for (const Export& each : one.mapped) {
    const bool its_lun = std::ranges::any_of(differences.luns, [&](const PortalLun& lun) {
      return lun.backstore == each.backstore && lun.target == each.target &&
             lun.portal_group == each.portal_group;
    });
    if (!other.mapped.contains(each) && !its_lun &&
        !differences.backstores.contains(each.backstore)) {
      differences.mapped.insert(each);
    }
  }
  for (const Portal& portal : one.portals) {
    const bool both_have_its_group = std::ranges::any_of(other.luns, [&](const PortalLun& lun) {
      return lun.target == portal.target && lun.portal_group == portal.portal_group;
    });
    if (!other.portals.contains(portal) && both_have_its_group) {
      differences.portals.insert(portal);
    }
  }
  return differences;
}

std::string place(const PortalLun& lun) {
  return fmt::format("LUN {} of {}, portal group {}", lun.number, lun.target, lun.portal_group);
}

std::string place(const Export& each) {
  return fmt::format("LUN {} of {}, portal group {}, for {}", each.number, each.target,
                     each.portal_group, each.initiator);
}

std::string place(const Portal& portal) {
  return fmt::format("portal {} of portal group {}", portal.address, portal.portal_group);
}

// Restoring all of the file would take away every LUN for a moment (rtslib/root.py: restore).
std::string restore_target(const std::string& file, const std::string& target) {
  return fmt::format(
      "targetcli restoreconfig savefile={} clear_existing=true target={} (this target's sessions "
      "end, and log in again)",
      file, target);
}

Finding missing_backstore(const Saved& saved, const std::string& name) {
  std::set<std::string> targets;
  for (const PortalLun& lun : saved.inventory.luns) {
    if (lun.backstore == name) {
      targets.insert(lun.target);
    }
  }
  std::string how = fmt::format(
      "do not run saveconfig before it is there again; /var/log/tcmu-runner.log says what hinders "
      "it; then targetcli restoreconfig savefile={} clear_existing=true storage_object={}",
      saved.file, name);
  for (const std::string& target : targets) {
    how += ", and " + restore_target(saved.file, target);
  }
  return {Severity::critical, name, fmt::format("is saved in {} and is not there", saved.file),
          how};
}

}  // namespace

Findings judge_restored(const Saved& saved, const Inventory& now) {
  Findings findings;
  const Differences lost = missing(saved.inventory, now);
  for (const auto& backstore : lost.backstores) {
    findings.push_back(missing_backstore(saved, backstore.first));
  }
  const auto add = [&](const auto& lun) {
    findings.push_back(
        {Severity::critical, lun.backstore,
         fmt::format("is saved in {} as {}, and is not there", saved.file, place(lun)),
         restore_target(saved.file, lun.target)});
  };
  std::ranges::for_each(lost.luns, add);
  std::ranges::for_each(lost.mapped, add);
  for (const Portal& portal : lost.portals) {
    findings.push_back({Severity::critical, portal.target,
                        fmt::format("nobody can log in at {}, which {} has: it is not there, or "
                                    "its portal group is not enabled",
                                    place(portal), saved.file),
                        restore_target(saved.file, portal.target)});
  }
  return findings;
}

Findings judge_saved(const std::optional<Saved>& saved, const Inventory& now) {
  const Differences unsaved = missing(now, saved ? saved->inventory : Inventory{});
  const std::string file = saved ? saved->file : "a saveconfig.json, which does not exist";
  const bool all_restored = !saved || judge_restored(*saved, now).empty();
  const std::string how =
      all_restored ? "targetcli saveconfig"
                   : "targetcli saveconfig, but only once what is missing is there again";
  Findings findings;
  for (const auto& backstore : unsaved.backstores) {
    findings.push_back({Severity::warning, backstore.first,
                        fmt::format("is not in {}: the next boot does not bring it back", file),
                        how});
  }
  const auto add = [&](const auto& lun) {
    findings.push_back(
        {Severity::warning, lun.backstore,
         fmt::format("{} is not in {}: the next boot does not bring it back", place(lun), file),
         how});
  };
  std::ranges::for_each(unsaved.luns, add);
  std::ranges::for_each(unsaved.mapped, add);
  for (const Portal& portal : unsaved.portals) {
    findings.push_back({Severity::warning, portal.target,
                        fmt::format("{} is not in {}, or not enabled there: after the next boot "
                                    "nobody can log in at it",
                                    place(portal), file),
                        how});
  }
  for (const auto& [name, configuration] : now.backstores) {
    const auto kept = saved ? saved->inventory.backstores.find(name) : now.backstores.find(name);
    const auto none = saved ? saved->inventory.backstores.end() : now.backstores.end();
    if (kept != none && kept->second != configuration) {
      findings.push_back({Severity::warning, name,
                          fmt::format("is {} now, and {} in {}, which the next boot uses",
                                      configuration, kept->second, file),
                          how});
    }
  }
  return findings;
}

}  // namespace ballast::ctl::check
