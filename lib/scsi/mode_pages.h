// SPDX-License-Identifier: Apache-2.0
// ModePages: the mode pages of a LUN and their current values. These are Read-Write Error Recovery
// (01), Caching (08), Control (0A), Informational Exceptions Control (1C) and, if the store tells
// how much room it has, Logical Block Provisioning (1C, subpage 02).
//
// Initiators can change WCE (if the backend has a volatile cache), D_SENSE and SWP. If somebody
// keeps them (mode_keeper.h), each change is saved, whatever SP says: the saved values are the
// current ones, so a reset of the LUN, which only the kernel sees, has nothing to bring back. MODE
// SELECT first checks the whole list and then applies it, so a
// list with an error changes nothing. Turning the cache off takes a flush, so it is applied late;
// it does not undo a newer MODE SELECT. Driving thread only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lib/scsi/sense.h"

namespace ballast::scsi {

enum class PageControl : std::uint8_t { current = 0, changeable = 1, defaults = 2, saved = 3 };

class ModePages {
 public:
  struct Values {
    bool write_cache = false;             // WCE, page 08
    bool descriptor_sense = false;        // D_SENSE, page 0A
    bool software_write_protect = false;  // SWP, page 0A
    friend bool operator==(const Values&, const Values&) = default;
  };

  static constexpr std::uint8_t error_recovery = 0x01;
  static constexpr std::uint8_t caching = 0x08;
  static constexpr std::uint8_t control = 0x0a;
  static constexpr std::uint8_t exceptions = 0x1c;
  static constexpr std::uint8_t provisioning = 0x02;  // a subpage of `exceptions`
  static constexpr std::uint8_t all_pages = 0x3f;
  static constexpr std::uint8_t all_subpages = 0xff;
  static constexpr std::size_t longest = 12 + 20 + 12 + 12 + 24;  // of all pages, in bytes
  // Where the threshold's descriptor begins in its page. A unit attention tells it.
  static constexpr std::size_t threshold_at = 16;

  // `threshold`: see set_threshold(). Nothing: there are none.
  // `saves`: there are saved values.
  ModePages(bool volatile_cache, bool write_cache, std::optional<std::uint32_t> threshold,
            bool saves)
      : volatile_cache_{volatile_cache},
        begins_with_cache_{write_cache},
        threshold_{threshold},
        saves_{saves},
        values_{.write_cache = write_cache} {}

  // What an earlier life of the LUN has kept.
  void restore(const Values& kept);

  const Values& values() const { return values_; }
  bool saves() const { return saves_; }
  bool write_cache() const { return values_.write_cache; }
  bool descriptor_sense() const { return values_.descriptor_sense; }
  bool software_write_protect() const { return values_.software_write_protect; }

  bool has_threshold() const { return threshold_.has_value(); }
  // The soft threshold for the room that is left, in threshold sets (thresholds.h); 0: none
  // is set. Only if has_threshold(). The operator sets it, not the initiator.
  void set_threshold(std::uint32_t sets) { threshold_ = sets; }

  // Whether MODE SENSE may ask for this page. Page 3F stands for all pages, and subpage FF for all
  // subpages.
  bool has(std::uint8_t page, std::uint8_t subpage) const;
  // Writes the page (or all that are meant, in ascending order) to the front of `out`, which has at
  // least `longest` bytes. Returns the length. PageControl::saved only if saves().
  std::size_t read(std::uint8_t page, std::uint8_t subpage, PageControl which,
                   std::span<std::uint8_t> out) const;

  // The values that a MODE SELECT sets. Only those of the pages in its list count.
  struct Selection {
    Values values;
    bool caching = false;
    bool control = false;
    bool turns_cache_off() const { return caching && !values.write_cache; }
  };
  // Checks the pages of a MODE SELECT list. `offset` is where they begin in the list; the field
  // pointer needs it. Fills in the selection and returns nothing, or returns the error.
  std::optional<Sense> judge(std::span<const std::uint8_t> pages, std::size_t offset,
                             Selection* selection) const;
  // Gives a MODE SELECT its place in their order.
  std::uint64_t next_turn() { return ++turns_; }
  // The values once the pages are applied that no newer MODE SELECT has set.
  Values after(const Selection& selection, std::uint64_t turn) const;
  void apply(const Selection& selection, std::uint64_t turn);

 private:
  std::size_t read_error_recovery(PageControl which, std::span<std::uint8_t> out) const;
  std::size_t read_caching(PageControl which, std::span<std::uint8_t> out) const;
  std::size_t read_control(PageControl which, std::span<std::uint8_t> out) const;
  static std::size_t read_exceptions(PageControl which, std::span<std::uint8_t> out);
  std::size_t read_provisioning(PageControl which, std::span<std::uint8_t> out) const;
  std::optional<Sense> judge_page(std::span<const std::uint8_t> page, std::size_t offset,
                                  Selection* selection) const;
  bool volatile_cache_;
  bool begins_with_cache_;
  std::optional<std::uint32_t> threshold_;
  bool saves_;
  Values values_;
  std::uint64_t turns_ = 0;
  std::uint64_t caching_set_ = 0;  // the turn that set the page
  std::uint64_t control_set_ = 0;
};

}  // namespace ballast::scsi
