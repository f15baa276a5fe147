// SPDX-License-Identifier: Apache-2.0
#include "handler/lun_directory.h"

#include <atomic>
#include <chrono>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/cmocka.h"

using namespace std::chrono_literals;
using ballast::Nanoseconds;
using ballast::handler::ControlledLun;
using ballast::handler::LunDirectory;

namespace {

class Lun final : public ControlledLun {
 public:
  explicit Lun(std::string name) : name_{std::move(name)} {}
  std::string name() const override { return name_; }
  bool snapshot(const ballast::watch::Lists&, ballast::watch::LunSnapshot* into,
                Nanoseconds) override {
    into->name = name_;
    return true;
  }
  std::optional<ballast::watch::StuckThread> stuck(Nanoseconds) const override { return {}; }
  void move(bool, std::function<void(ballast::Result<void>)>) override {}
  void write_log_back(bool,
                      std::function<void(ballast::Result<ballast::watch::LunSnapshot>)>) override {}

 private:
  const std::string name_;
};

using Names = std::vector<std::string>;

Names visited(LunDirectory& directory, const std::string* name = nullptr) {
  Names names;
  directory.visit(name, [&](ControlledLun& lun) { names.push_back(lun.name()); });
  return names;
}

void luns_are_visited_in_the_order_in_which_they_came(void**) {
  LunDirectory directory;
  Lun b{"b"}, a{"a"};
  directory.add(b);
  directory.add(a);
  assert_true(visited(directory) == (Names{"b", "a"}));
  assert_true(directory.names() == (Names{"b", "a"}));
  directory.remove(b);
  assert_true(visited(directory) == Names{"a"});
}

void one_is_found_by_its_name(void**) {
  LunDirectory directory;
  Lun a{"a"}, b{"b"};
  directory.add(a);
  directory.add(b);
  const std::string wanted = "b", unknown = "c";
  assert_true(visited(directory, &wanted) == Names{"b"});
  assert_true(visited(directory, &unknown).empty());
}

void removing_what_was_never_added_is_fine(void**) {
  LunDirectory directory;
  Lun a{"a"};
  directory.remove(a);
}

void one_that_goes_before_its_turn_is_left_out(void**) {
  LunDirectory directory;
  Lun a{"a"}, b{"b"};
  directory.add(a);
  directory.add(b);
  Names names;
  directory.visit(nullptr, [&](ControlledLun& lun) {
    names.push_back(lun.name());
    directory.remove(b);  // another thread would do it now
  });
  assert_true(names == Names{"a"});
}

void remove_waits_for_a_visit(void**) {
  LunDirectory directory;
  Lun a{"a"};
  directory.add(a);
  std::atomic<bool> inside{false}, left{false};
  std::thread visitor{[&] {
    directory.visit(nullptr, [&](ControlledLun&) {
      inside = true;
      inside.notify_one();
      std::this_thread::sleep_for(50ms);
      left = true;
    });
  }};
  inside.wait(false);
  directory.remove(a);
  const bool waited = left;
  visitor.join();
  assert_true(waited);
}

void a_visit_to_one_keeps_no_other_from_coming_and_going(void**) {
  LunDirectory directory;
  Lun a{"a"}, b{"b"};
  directory.add(a);
  bool came_and_went = false;
  directory.visit(nullptr, [&](ControlledLun&) {
    directory.add(b);  // would hang
    came_and_went = directory.names() == (Names{"a", "b"});
    directory.remove(b);
  });
  assert_true(came_and_went);
}

void a_visitor_that_throws_has_left(void**) {
  LunDirectory directory;
  Lun a{"a"};
  directory.add(a);
  bool thrown = false;
  try {
    directory.visit(nullptr, [](ControlledLun&) { throw std::runtime_error{"memory"}; });
  } catch (const std::runtime_error&) {
    thrown = true;
  }
  assert_true(thrown);
  directory.remove(a);  // would hang
}

// LUNs come and go on one thread while two others look; none is seen once its remove() has
// returned, which the sanitizers would see.
void luns_come_and_go_under_visitors(void**) {
  LunDirectory directory;
  std::atomic<bool> stop{false};
  std::atomic<std::size_t> seen{0};
  const auto look = [&] {
    while (!stop) {
      directory.visit(nullptr, [&](ControlledLun& lun) {
        ballast::watch::LunSnapshot snapshot;
        if (lun.snapshot({}, &snapshot, 1s)) {
          ++seen;
        }
      });
      (void)directory.names();
    }
  };
  std::thread first{look}, second{look};
  for (int i = 0; i < 2000 || seen == 0; ++i) {
    Lun brief{"brief"}, longer{"longer"};
    directory.add(longer);
    directory.add(brief);
    directory.remove(brief);
    directory.remove(longer);
  }
  stop = true;
  first.join();
  second.join();
  assert_true(visited(directory).empty());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(luns_are_visited_in_the_order_in_which_they_came),
      cmocka_unit_test(one_is_found_by_its_name),
      cmocka_unit_test(removing_what_was_never_added_is_fine),
      cmocka_unit_test(one_that_goes_before_its_turn_is_left_out),
      cmocka_unit_test(remove_waits_for_a_visit),
      cmocka_unit_test(a_visit_to_one_keeps_no_other_from_coming_and_going),
      cmocka_unit_test(a_visitor_that_throws_has_left),
      cmocka_unit_test(luns_come_and_go_under_visitors),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
