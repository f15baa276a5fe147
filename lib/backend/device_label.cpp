// SPDX-License-Identifier: Apache-2.0
#include "lib/backend/device_label.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include "lib/base/round_up.h"
#include "lib/base/values.h"

namespace ballast::backend {
namespace {

constexpr std::uint64_t page = LabelPage::size;

// In the order in which they are written: the last page of the device comes first. Empty: there is
// no room.
using Places = std::vector<std::uint64_t>;

std::uint64_t first_behind(Bytes lun) {
  return round_up(lun.value(), page);
}

Places places_behind(Bytes lun, std::uint64_t end) {
  const std::uint64_t first = first_behind(lun);
  if (end < first + page) {
    return {};
  }
  return first == end - page ? Places{first} : Places{end - page, first};
}

struct Layout {
  Places places;
  // Where the label was before the LUN grew while it was closed; the LUN has that page now.
  std::optional<std::uint64_t> before{};
};

Result<Layout> layout_of(LabelDevice& device, LunSizes lun) {
  const Result<Bytes> size = device.size();
  if (!size) {
    return size.error();
  }
  const std::uint64_t end = size.value().value() / page * page;
  Layout its{.places = places_behind(std::max(lun.now, lun.reach), end)};
  if (its.places.empty()) {  // somebody has made the device smaller than the reach
    its.places = places_behind(lun.now, end);
  }
  const std::uint64_t before = first_behind(lun.reach);
  if (lun.reach != Bytes{} && lun.reach < lun.now && before < first_behind(lun.now) &&
      before + page <= end) {
    its.before = before;
  }
  return its;
}

bool contains(const Places& all, std::uint64_t place) {
  return std::find(all.begin(), all.end(), place) != all.end();
}

Error no_room(LabelDevice& device, Bytes lun) {
  return Error{ENOSPC, fmt::format("{} has no room for the label of a write log behind the LUN of "
                                   "{}: make the device larger than the LUN by 4KiB at least, or "
                                   "the LUN smaller",
                                   device.path(), config::format_bytes(lun))};
}

// What is on a page.
struct Seen {
  bool begins = false;  // as a label that was made for this page
  std::optional<Label> label{};
  std::optional<Error> damage{};
};

Result<Seen> look(LabelDevice& device, std::uint64_t place) {
  LabelPage memory;
  if (const Result<void> read = device.read(place, &memory); !read) {
    return read.error();
  }
  Seen seen;
  if (!begins_label(memory.bytes)) {
    return seen;
  }
  Result<Label> label = decode_label(memory.bytes, device.path());
  if (!label) {
    if (label.error().errno_value == EPROTONOSUPPORT) {
      return label.error();
    }
    seen.begins = true;
    seen.damage = label.error();
  } else if (offset_of_label(memory.bytes) == place) {
    seen.begins = true;
    seen.label = std::move(label).value();
  }
  return seen;
}

bool counts_more(const Label& one, const Label& other) {
  return std::pair{one.owner, one.names_log()} > std::pair{other.owner, other.names_log()};
}

Result<void> put(LabelDevice& device, std::uint64_t place, const Label& label) {
  const Result<std::vector<std::byte>> bytes = encode_label(label, place);
  if (!bytes) {
    return bytes.error();
  }
  LabelPage memory;
  std::copy(bytes.value().begin(), bytes.value().end(), memory.bytes.begin());
  return device.write(place, memory);
}

Result<void> empty(LabelDevice& device, std::uint64_t place) {
  const Result<Seen> seen = look(device, place);
  if (!seen) {
    return seen.error();
  }
  return seen.value().begins ? device.write(place, LabelPage{}) : Result<void>{};
}

Result<void> empty_all(LabelDevice& device, const Places& all) {
  for (const std::uint64_t place : all) {
    if (Result<void> emptied = empty(device, place); !emptied) {
      return emptied;
    }
  }
  return {};
}

}  // namespace

Result<std::optional<Label>> read_label(LabelDevice& device, LunSizes lun) {
  const Result<Layout> its = layout_of(device, lun);
  if (!its) {
    return its.error();
  }
  std::optional<Label> found;
  std::optional<Error> damage;
  const auto take = [&](std::uint64_t place) -> Result<void> {
    Result<Seen> seen = look(device, place);
    if (!seen) {
      return seen.error();
    }
    if (seen.value().damage.has_value()) {
      damage = seen.value().damage;
    }
    const std::optional<Label>& label = seen.value().label;
    if (label.has_value() && (!found.has_value() || counts_more(*label, *found))) {
      found = label;
    }
    return {};
  };
  for (const std::uint64_t place : its.value().places) {
    if (const Result<void> taken = take(place); !taken) {
      return taken.error();
    }
  }
  if (!found.has_value() && its.value().before.has_value()) {
    if (const Result<void> taken = take(*its.value().before); !taken) {
      return taken.error();
    }
  }
  if (!found.has_value() && damage.has_value()) {
    return *damage;
  }
  return found;
}

Result<void> write_label(LabelDevice& device, LunSizes lun, const std::optional<Label>& label) {
  const Result<Layout> its = layout_of(device, lun);
  if (!its) {
    return its.error();
  }
  const Places& all = its.value().places;
  if (!label.has_value()) {
    return empty_all(device, all);
  }
  if (all.empty()) {
    return no_room(device, lun.now);
  }
  const bool known = lun.reach != Bytes{};
  Places labelled;
  for (const std::uint64_t place : all) {
    const Result<Seen> seen = look(device, place);
    if (!seen) {
      return seen.error();
    }
    if (seen.value().begins) {
      labelled.push_back(place);
    }
  }
  for (const std::uint64_t place : all) {
    if (place == all.front() || known || labelled.empty() || contains(labelled, place)) {
      if (Result<void> written = put(device, place, *label); !written) {
        return written;
      }
    }
  }
  return {};
}

Result<void> settle_label(LabelDevice& device, LunSizes lun, const Label& label) {
  const Result<Layout> its = layout_of(device, lun);
  if (!its) {
    return its.error();
  }
  if (its.value().places.empty() && label.names_log()) {
    return no_room(device, lun.now);
  }
  const std::optional<std::uint64_t> before = its.value().before;
  for (const std::uint64_t place : its.value().places) {
    const Result<Seen> seen = look(device, place);
    if (!seen) {
      return seen.error();
    }
    const bool belongs =
        place == its.value().places.front() || lun.reach != Bytes{} || seen.value().begins;
    if (belongs && seen.value().label != label) {
      if (Result<void> written = put(device, place, label); !written) {
        return written;
      }
    }
  }
  return before.has_value() ? empty(device, *before) : Result<void>{};
}

Result<bool> move_label(LabelDevice& device, LunSizes lun, Bytes size, const Label& label) {
  const Result<Layout> old_layout = layout_of(device, lun);
  const Result<Layout> new_layout =
      layout_of(device, {.now = size, .reach = std::max(lun.now, lun.reach)});
  if (!old_layout || !new_layout) {
    return old_layout ? new_layout.error() : old_layout.error();
  }
  const Places& all = new_layout.value().places;
  if (all.empty() && label.names_log()) {
    return no_room(device, size);
  }
  for (const std::uint64_t place : all) {
    const Result<Seen> seen = look(device, place);
    const Result<void> written = !seen                         ? seen.error()
                                 : seen.value().label == label ? Result<void>{}
                                                               : put(device, place, label);
    if (!written) {
      return written.error();
    }
  }
  for (const std::uint64_t place : old_layout.value().places) {
    if (!contains(all, place)) {
      if (const Result<void> emptied = empty(device, place); !emptied) {
        return emptied.error();
      }
    }
  }
  return !all.empty();
}

Result<bool> has_label_behind_lun(LabelDevice& device, LunSizes lun) {
  const Result<Layout> its = layout_of(device, lun);
  if (!its) {
    return its.error();
  }
  if (its.value().places.empty()) {
    return false;
  }
  const Result<Seen> seen = look(device, its.value().places.back());
  return seen ? Result<bool>{seen.value().begins} : seen.error();
}

}  // namespace ballast::backend
