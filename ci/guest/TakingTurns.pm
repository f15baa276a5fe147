# SPDX-License-Identifier: Apache-2.0
# A harness of prove for a guest that shares its tests with other guests. It gets all tests that the
# guest may run. When it is free, it takes the next one that no other guest has taken. LAB_TAKEN is
# the folder in which each guest notes the tests that it took. LAB_SECONDS is the file that gets the
# time of each test.
package TakingTurns;
use strict;
use warnings;
use parent 'TAP::Harness';

sub make_scheduler {
    my ($self, @tests) = @_;
    my @jobs = map { TAP::Parser::Scheduler::Job->new(@$_) } $self->_add_descriptions(@tests);
    return bless { jobs => \@jobs }, 'TakingTurns::Queue';
}

package TakingTurns::Queue;
use TAP::Parser::Scheduler::Job;
use Time::HiRes 'time';

sub get_all { return @{ $_[0]{jobs} } }

sub get_job {
    my ($self) = @_;
    while (my $job = shift @{ $self->{jobs} }) {
        my ($name) = $job->filename =~ m{([^/]+)\.t$} or return $job;
        # Only one mkdir of a name succeeds, so only one guest takes the test.
        next unless mkdir "$ENV{LAB_TAKEN}/$name";
        my $begin = time;
        $job->on_finish(sub {
            open my $out, '>>', $ENV{LAB_SECONDS} or return;
            printf $out "%.0f\t%s\n", time - $begin, $name;
        });
        return $job;
    }
    return;
}

1;
